import { pathFromBytes } from "../contract/path.ts";
import { type Found, MODE, type Side } from "./entry.ts";

/** As here: see there. Clocks inside tick in steps, and the listing began a moment after the clock was read. */
const RACY_SECONDS = 0.05;

/** Cuts at NUL bytes; in one go where all of it is UTF-8. */
function pieces(bytes: Buffer): string[] {
  const text = bytes.toString("utf8");
  if (!text.includes("\ufffd")) return text.split("\0");
  const found: string[] = [];
  for (let at = 0; at <= bytes.length;) {
    const end = bytes.indexOf(0, at);
    found.push(pathFromBytes(bytes.subarray(at, end === -1 ? bytes.length : end)));
    if (end === -1) break;
    at = end + 1;
  }
  return found;
}

/**
 * Reads what find printed: `look NUL ./path NUL target NUL` for each entry, a directory before what is in it. `now` is the sandbox's
 * clock as it began, in seconds.
 */
export function parseListing(bytes: Buffer, now: number): Side {
  const entries = new Map<string, Found>();
  const special: string[] = [];
  const words = pieces(bytes);
  for (let i = 0; i + 2 < words.length; i += 3) {
    const [look = "", place = "", target = ""] = [words[i], words[i + 1], words[i + 2]];
    const path = place.slice(2);
    const [type = "", mode = "", size = "", , changed = ""] = look.split(" ");
    const bits = Number.parseInt(mode, 8) & MODE;
    if (type === "d") entries.set(path, { type, mode: bits, size: 0, look, target: "" });
    else if (type === "l") entries.set(path, { type, mode: MODE, size: 0, look: `l ${target}`, target });
    else if (type === "f")
      entries.set(path, { type, mode: bits, size: Number(size), look: Number(changed) > now - RACY_SECONDS ? "" : look, target: "" });
    else special.push(path);
  }
  return { entries, special };
}
