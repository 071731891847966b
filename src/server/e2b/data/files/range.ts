/** The bytes that a request wants; `length` without an end goes to the end of the file. */
export type Wanted = { readonly from: number; readonly length: number | undefined } | { readonly last: number };

/**
 * Reads a `Range` header. Undefined for none and for what a server may ignore: other units, several ranges, bad syntax,
 * and a range that depends on a version (`If-Range`), since none is told.
 */
export function parseRange(header: string | null, ifRange: string | null): Wanted | undefined {
  const match = ifRange === null ? /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "") : null;
  if (match === null) return undefined;
  const [, from = "", to = ""] = match;
  if (from === "") return to === "" ? undefined : { last: Number(to) };
  if (to === "") return { from: Number(from), length: undefined };
  return Number(to) < Number(from) ? undefined : { from: Number(from), length: Number(to) - Number(from) + 1 };
}
