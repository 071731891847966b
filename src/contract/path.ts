/**
 * Paths inside a sandbox are bytes; JSON and JavaScript have text. Bytes that are not UTF-8 travel as lone surrogates
 * U+DC80..U+DCFF (Python's "surrogateescape", PEP 383), which JSON carries as `\udc80`, so every name round-trips.
 * In URLs they are plain percent-escapes of the raw bytes.
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Raw name bytes as text; never loses a byte. */
export function pathFromBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    // Not UTF-8 as a whole: take the longest valid sequence at each place and escape the bytes that start none.
    let text = "";
    for (let i = 0; i < bytes.length;) {
      const lead = bytes[i] ?? 0;
      const length =
        lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
      const piece = length > 0 && i + length <= bytes.length ? decodeOne(bytes.subarray(i, i + length)) : undefined;
      text += piece ?? String.fromCharCode(0xdc00 + lead);
      i += piece === undefined ? 1 : length;
    }
    return text;
  }
}

function decodeOne(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The reverse of {@link pathFromBytes}. */
export function pathToBytes(path: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(path)) return encoder.encode(path);
  const bytes: number[] = [];
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...encoder.encode(character));
  }
  return Uint8Array.from(bytes);
}

/** For a URL's query: percent-escapes over the raw bytes. */
export function pathToQuery(path: string): string {
  let query = "";
  for (const byte of pathToBytes(path)) {
    const character = String.fromCharCode(byte);
    query += /[A-Za-z0-9/._~-]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0").toUpperCase()}`;
  }
  return query;
}

/** The reverse of {@link pathToQuery}, over the query value as it stood in the URL. Throws RangeError on a bad escape. */
export function pathFromQuery(raw: string): string {
  const bytes: number[] = [];
  const source = encoder.encode(raw.replaceAll("+", " "));
  for (let i = 0; i < source.length; i++) {
    const byte = source[i] ?? 0;
    if (byte !== 0x25) {
      bytes.push(byte);
      continue;
    }
    const hex = String.fromCharCode(source[i + 1] ?? 0, source[i + 2] ?? 0);
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) throw new RangeError(`bad percent-escape at ${i}`);
    bytes.push(Number.parseInt(hex, 16));
    i += 2;
  }
  return pathFromBytes(Uint8Array.from(bytes));
}
