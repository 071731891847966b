/** Header fields in the order they came: name, value, name, value. Names may differ in case. */
export type Headers = readonly string[];

/** Of one connection, never passed on (RFC 9110 section 7.6.1). Framing is made anew on each side. */
const HOP_BY_HOP = new Set([
  "connection", "keep-alive", "proxy-connection", "proxy-authorization", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade",
  "content-length", "http2-settings", "host", "expect",
]); // prettier-ignore

/** Not allowed after the body: what frames, routes or authorises a message (RFC 9110 section 6.5.1). */
const NOT_IN_TRAILERS = new Set([
  ...HOP_BY_HOP,
  "authorization",
  "cookie",
  "set-cookie",
  "content-encoding",
  "content-type",
  "content-range",
]);

/** All values of one field. */
export function values(headers: Headers, name: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < headers.length; at += 2) if (is(headers[at]!, name)) found.push(headers[at + 1]!);
  return found;
}

/** Field names compare without case; most differ in length already. */
function is(name: string, lowerCase: string): boolean {
  return name.length === lowerCase.length && (name === lowerCase || name.toLowerCase() === lowerCase);
}

/** What goes from one end to the other: no field of the connection, and none that `Connection` names. */
export function endToEnd(headers: Headers, trailers = false): string[] {
  const dropped = trailers ? NOT_IN_TRAILERS : HOP_BY_HOP;
  const named = values(headers, "connection").flatMap((value) =>
    value
      .toLowerCase()
      .split(",")
      .map((token) => token.trim()),
  );
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase();
    if (!dropped.has(name) && !named.includes(name)) kept.push(headers[at]!, headers[at + 1]!);
  }
  return kept;
}

/** Without some fields, by lower-case name. */
export function without(headers: Headers, ...names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    if (!names.includes(headers[at]!.toLowerCase())) kept.push(headers[at]!, headers[at + 1]!);
  }
  return kept;
}

/** As `node:http2` takes them: lower-case names, several values as a list. */
export function toHttp2(headers: Headers): Record<string, string | string[]> {
  const result = Object.create(null) as Record<string, string | string[]>;
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase();
    const before = result[name];
    const value = headers[at + 1]!;
    result[name] = before === undefined ? value : typeof before === "string" ? [before, value] : [...before, value];
  }
  return result;
}

/** From `node:http2`'s list: without pseudo fields, and the pieces of Cookie as the one field that HTTP/1.1 wants. */
export function fromHttp2(raw: Headers): string[] {
  const result: string[] = [];
  let cookie = -1;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    if (name.startsWith(":")) continue;
    if (name === "cookie" && cookie !== -1) result[cookie] += `; ${raw[at + 1]!}`;
    else {
      result.push(name, raw[at + 1]!);
      if (name === "cookie") cookie = result.length - 1;
    }
  }
  return result;
}

/** What a message head weighs, roughly as HTTP/1.1. */
export function weight(headers: Headers): number {
  let bytes = 0;
  for (const text of headers) bytes += text.length + 2;
  return bytes;
}
