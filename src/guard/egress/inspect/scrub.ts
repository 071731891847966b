import { type Pass, overlap } from "./body-scan.ts";
import type { Sent } from "./put-in.ts";

/** Shorter values are not looked for: they would be found in everything. */
const SHORTEST = 4;
/** Texts remembered for one host, rotated values among them. */
const KEPT = 64;

/** What one host has been sent of secrets, and so might send back. */
export interface Exposure {
  add(sent: readonly Sent[]): void;
  /** Nothing was sent: nothing is looked for. */
  readonly empty: boolean;
  /** A text with the stand-ins in place. */
  text(value: string): string;
  /** The same for a stream; holds back only what may be the beginning of a value. */
  stream(): Pass;
}

export function exposure(): Exposure {
  const known = new Map<string, string>();
  return {
    add(sent) {
      for (const { text, standIn } of sent) {
        if (text.length < SHORTEST) continue;
        known.delete(text);
        known.set(text, standIn);
      }
      for (const oldest of known.keys()) {
        if (known.size <= KEPT) break;
        known.delete(oldest);
      }
    },
    get empty() {
      return known.size === 0;
    },
    text(value) {
      let result = value;
      for (const [text, standIn] of longestFirst(known)) if (result.includes(text)) result = result.replaceAll(text, () => standIn);
      return result;
    },
    stream() {
      return scrub(longestFirst(known).map(([text, standIn]) => ({ needle: Buffer.from(text), standIn: Buffer.from(standIn) })));
    },
  };
}

/** Where one value begins with another the longer one is meant. */
function longestFirst(known: ReadonlyMap<string, string>): [string, string][] {
  return [...known].toSorted(([one], [other]) => other.length - one.length);
}

function scrub(needles: readonly { readonly needle: Buffer; readonly standIn: Buffer }[]): Pass {
  let held: Buffer | undefined;
  return (chunk, last) => {
    const data = held === undefined ? chunk : Buffer.concat([held, chunk]);
    held = undefined;
    const next = needles.map(({ needle }) => data.indexOf(needle));
    const pieces: Buffer[] = [];
    let from = 0;
    for (;;) {
      let first = -1;
      for (let index = 0; index < needles.length; index++) {
        if (next[index] !== -1 && next[index]! < from) next[index] = data.indexOf(needles[index]!.needle, from);
        if (next[index] !== -1 && (first === -1 || next[index]! < next[first]!)) first = index;
      }
      if (first === -1) break;
      // A longer value may begin here, its end not yet seen.
      const tail = data.subarray(next[first]);
      if (!last && needles.some(({ needle }) => tail.length < needle.length && needle.subarray(0, tail.length).equals(tail))) break;
      pieces.push(data.subarray(from, next[first]), needles[first]!.standIn);
      from = next[first]! + needles[first]!.needle.length;
    }
    const rest = data.subarray(from);
    const hold = last ? 0 : Math.max(0, ...needles.map(({ needle }) => overlap(rest, needle)));
    if (hold > 0) held = rest.subarray(rest.length - hold);
    const out = hold > 0 ? rest.subarray(0, rest.length - hold) : rest;
    return pieces.length === 0 ? out : Buffer.concat([...pieces, out]);
  };
}
