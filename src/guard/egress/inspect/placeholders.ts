import type { BoundSecret } from "../../../contract/network.ts";

export const PLACEHOLDER_PREFIX = "sbx_secret_";
/** Shorter runs after the prefix are somebody's documentation, not a placeholder. */
const LEAST_RANDOM = 16;
const FORM = new RegExp(`^${PLACEHOLDER_PREFIX}[A-Za-z0-9_-]{${LEAST_RANDOM}}`);

/** One placeholder in a text; `secret` is null where it is not of this sandbox, or was revoked. */
export interface Found {
  readonly at: number;
  readonly length: number;
  readonly secret: BoundSecret | null;
}

/** Longest run that must be seen before it can be said what begins at a prefix. */
export function longestPlaceholder(secrets: readonly BoundSecret[]): number {
  let longest = PLACEHOLDER_PREFIX.length + LEAST_RANDOM;
  for (const { binding } of secrets) longest = Math.max(longest, binding.placeholder.length);
  return longest;
}

/** What begins where a prefix was found; undefined: no placeholder. */
export function identify(text: string, at: number, secrets: readonly BoundSecret[]): Found | undefined {
  for (const secret of secrets) {
    const { placeholder } = secret.binding;
    if (text.startsWith(placeholder, at)) return { at, length: placeholder.length, secret };
  }
  const form = FORM.exec(text.slice(at, at + PLACEHOLDER_PREFIX.length + LEAST_RANDOM));
  return form === null ? undefined : { at, length: form[0].length, secret: null };
}

/** All placeholders of a text, from the left. */
export function findPlaceholders(text: string, secrets: readonly BoundSecret[]): Found[] {
  const found: Found[] = [];
  for (let at = text.indexOf(PLACEHOLDER_PREFIX); at !== -1; at = text.indexOf(PLACEHOLDER_PREFIX, at)) {
    const one = identify(text, at, secrets);
    if (one !== undefined) found.push(one);
    at += one?.length ?? PLACEHOLDER_PREFIX.length;
  }
  return found;
}

/** A text as it is looked through: what follows `Basic ` is decoded, since git and curl put a password there. */
export function readable(value: string): string {
  const basic = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(value);
  return basic === null ? value : Buffer.from(basic[1]!, "base64").toString("latin1");
}
