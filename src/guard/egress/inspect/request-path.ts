import { Refused } from "./refusal.ts";

/** Enough for any nesting of encodings that a server might undo; deeper ones are refused. */
const DECODINGS = 4;

/** Path and query of a request, as they are checked and as they are sent: the same text. */
export interface RequestPath {
  readonly path: string;
  /** With its "?", as it came; empty where there is none. */
  readonly query: string;
}

/**
 * Normalises a path once (RFC 3986 section 6.2.2): unreserved characters decoded, hexadecimal in capitals, dot segments resolved. An
 * encoded slash stays encoded. What a server that decodes once more, or takes a backslash for a slash, could read as a step upwards
 * is refused, since the rule would then have been checked on another path.
 */
export function requestPath(target: string): RequestPath {
  if (target === "*") return { path: "*", query: "" };
  if (!/^\/[\x21-\x7e]*$/.test(target) || target.includes("#")) throw bad("must begin with a slash and hold printable ASCII only");
  const mark = target.indexOf("?");
  const raw = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? "" : target.slice(mark);
  if (!/[%.\\]/.test(raw)) return { path: raw, query };
  if (/%(?![0-9A-Fa-f]{2})/.test(raw)) throw bad("has a % that begins no encoding");
  const decoded = raw.replaceAll(/%[0-9A-Fa-f]{2}/g, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : encoded.toUpperCase();
  });
  const path = withoutDots(decoded);
  refuseHiddenSteps(path);
  return { path, query };
}

function withoutDots(path: string): string {
  const kept: string[] = [];
  const segments = path.slice(1).split("/");
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === "..") kept.pop();
    if (segment !== "." && segment !== "..") kept.push(segment);
    else if (last) kept.push("");
  }
  return `/${kept.join("/")}`;
}

function refuseHiddenSteps(path: string): void {
  let seen = path;
  for (let round = 0; ; round++) {
    // A NUL ends the path for some servers; ";" begins parameters that others cut off before they resolve dots.
    if (/%00|\0/.test(seen)) throw bad("holds an encoded NUL");
    if (seen.split(/[/\\]/).some((segment) => /^\.\.?(;.*)?$/.test(segment))) throw bad("hides a dot segment behind an encoding");
    const next = seen.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (next === seen) return;
    if (round === DECODINGS) throw bad("is encoded too many times over");
    seen = next;
  }
}

function bad(what: string): Refused {
  return new Refused("protocol", `The request's path ${what}.`, { status: 400 });
}
