import type { BoundSecret } from "../../../contract/network.ts";
import { identify, longestPlaceholder, PLACEHOLDER_PREFIX } from "./placeholders.ts";
import { Violation } from "./refusal.ts";

const PREFIX = Buffer.from(PLACEHOLDER_PREFIX);

/** Looks through a stream of bytes and gives on what may go on. `last` says that no more comes. */
export type Pass = (chunk: Buffer, last: boolean) => Buffer;

export interface BodyScan {
  readonly all: readonly BoundSecret[];
  readonly replaced: readonly BoundSecret[];
  readonly contentType: string | undefined;
  /** Told of each value that was put in, as it stands in the body. */
  readonly onPutIn: (secret: BoundSecret, text: string) => void;
}

/**
 * Looks for placeholders in a request's body as it streams, also across the borders of chunks: those of `replaced` become their values,
 * written as the content type asks for; any other is a `Violation`. Holds back only what may be the beginning of one.
 */
export function bodyScan({ all, replaced, contentType, onPutIn }: BodyScan): Pass {
  const longest = longestPlaceholder(all);
  let held: Buffer | undefined;
  return (chunk, last) => {
    const data = held === undefined ? chunk : Buffer.concat([held, chunk]);
    held = undefined;
    const pieces: Buffer[] = [];
    let from = 0;
    let end = data.length;
    for (let at = data.indexOf(PREFIX); at !== -1; at = data.indexOf(PREFIX, at)) {
      if (!last && data.length - at < longest) {
        end = at;
        break;
      }
      const found = identify(data.toString("latin1", at, at + longest), 0, all);
      if (found === undefined) {
        at += PREFIX.length;
        continue;
      }
      if (found.secret === null || !replaced.includes(found.secret)) throw new Violation(found.secret?.binding ?? null, "the body");
      const text = written(found.secret.value, contentType);
      onPutIn(found.secret, text);
      pieces.push(data.subarray(from, at), Buffer.from(text));
      at += found.length;
      from = at;
    }
    if (!last) {
      if (end === data.length) end -= overlap(data.subarray(from), PREFIX);
      if (end < data.length) held = data.subarray(end);
    }
    if (pieces.length === 0) return end === data.length ? data : data.subarray(0, end);
    return Buffer.concat([...pieces, data.subarray(from, end)]);
  };
}

/** How many bytes at the end of `data` are a beginning of `needle`, but not all of it. */
export function overlap(data: Buffer, needle: Buffer): number {
  const least = Math.max(0, data.length - needle.length + 1);
  for (let at = data.indexOf(needle[0]!, least); at !== -1; at = data.indexOf(needle[0]!, at + 1)) {
    if (data.compare(needle, 0, data.length - at, at) === 0) return data.length - at;
  }
  return 0;
}

function written(value: string, contentType = ""): string {
  if (/^application\/x-www-form-urlencoded\b/i.test(contentType)) return encodeURIComponent(value);
  if (/^application\/([\w.+-]+\+)?json\b/i.test(contentType)) return JSON.stringify(value).slice(1, -1);
  return value;
}
