/**
 * Identifiers: a prefix that says what it names, then 10 characters of time and 12 of randomness in Crockford's
 * base 32, lower case. They sort by the time they were made, and fit host names and the E2B wire's `[a-z0-9]+`.
 */

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

const PREFIXES = {
  sandbox: "sb",
  exec: "ex",
  process: "pr",
  key: "ky",
  request: "rq",
  instance: "in",
  event: "ev",
  webhook: "wh",
  snapshot: "sn",
} as const;

/** What an id can name. */
export type IdKind = keyof typeof PREFIXES;

/** A new id. Unique without coordination: 60 random bits within one millisecond. */
export function newId(kind: IdKind, now: number = Date.now()): string {
  const random = crypto.getRandomValues(new Uint8Array(12));
  return PREFIXES[kind] + timePart(now) + Array.from(random, (byte) => ALPHABET[byte % 32]).join("");
}

/** What stands before every id that was made at that time or later, and behind every earlier one. */
export function firstId(kind: IdKind, at: number): string {
  return PREFIXES[kind] + timePart(at) + "0".repeat(12);
}

function timePart(now: number): string {
  let time = "";
  for (let rest = now, i = 0; i < 10; i++) {
    time = (ALPHABET[rest % 32] ?? "0") + time;
    rest = Math.floor(rest / 32);
  }
  return time;
}

/** Whether the text has the form of an id of that kind; says nothing of whether it exists. */
export function isId(kind: IdKind, text: string): boolean {
  return new RegExp(`^${PREFIXES[kind]}[0-9a-hjkmnp-tv-z]{22}$`).test(text);
}
