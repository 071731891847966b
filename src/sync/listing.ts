import { pathFromBytes } from "../contract/path.ts";
import { type Found, MODE } from "./entry.ts";

/** As here: see there. Clocks inside tick in steps, and the listing began a moment after the clock was read. */
const RACY_SECONDS = 0.05;

/** Cuts at NUL bytes; in one go where all of it is UTF-8. */
function records(bytes: Buffer): string[] {
  const text = bytes.toString("utf8");
  if (!text.includes("\ufffd")) return text.split("\0");
  const found: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0, at);
    found.push(pathFromBytes(bytes.subarray(at, end === -1 ? bytes.length : end)));
    if (end === -1) break;
    at = end + 1;
  }
  return found;
}

/**
 * A record of a listing: `look LF ./path`, of a symlink `look LF ./path // target`: no path that find prints has two slashes together. `now`
 * is the sandbox's clock as the listing began, in seconds.
 */
function parse(record: string, now: number): [path: string, found: Found] {
  const newline = record.indexOf("\n");
  const look = record.slice(0, newline);
  const [type = "", mode = "", size = "", , changed = ""] = look.split(" ");
  const bits = Number.parseInt(mode, 8) & MODE;
  if (type === "f") {
    const racy = Number(changed) > now - RACY_SECONDS ? "?" : "";
    return [record.slice(newline + 3), { type, mode: bits, size: Number(size), look: racy + look, target: "" }];
  }
  if (type === "d") return [record.slice(newline + 3), { type, mode: bits, size: 0, look, target: "" }];
  if (type !== "l") return [record.slice(newline + 3), { type: "x", mode: bits, size: 0, look: "x", target: "" }];
  const slashes = record.indexOf("//", newline);
  const target = record.slice(slashes + 2);
  return [record.slice(newline + 3, slashes), { type, mode: MODE, size: 0, look: `l ${target}`, target }];
}

/** All that a listing names. */
export function parseListing(bytes: Buffer, now: number): Map<string, Found> {
  return new Map(records(bytes).flatMap((record) => (record === "" ? [] : [parse(record, now)])));
}

/** What comm says of two listings: a record of the old one as it is, one of the new one behind a tab. undefined: it is gone. */
export function parseDifference(bytes: Buffer, now: number): Map<string, Found | undefined> {
  const found = new Map<string, Found | undefined>();
  for (const record of records(bytes)) {
    if (record === "") continue;
    const isNew = record.startsWith("\t");
    const [path, one] = parse(isNew ? record.slice(1) : record, now);
    if (isNew) found.set(path, one);
    else if (!found.has(path)) found.set(path, undefined);
  }
  return found;
}
