import type { BoundSecret, SecretBinding } from "../../../contract/network.ts";
import { type Headers, without } from "./headers.ts";
import { findPlaceholders, PLACEHOLDER_PREFIX, readable } from "./placeholders.ts";
import { Refused, Violation } from "./refusal.ts";
import type { RequestPath } from "./request-path.ts";

/** A text that left in a request, and what it becomes where it comes back. */
export interface Sent {
  readonly text: string;
  readonly standIn: string;
}

/** A request's head with the secrets put in. */
export interface PutIn {
  readonly headers: Headers;
  /** Path and query, as sent. */
  readonly target: string;
  /** Those whose placeholder the body may hold. */
  readonly inBody: readonly BoundSecret[];
  /** Name of the first secret that was put in. */
  readonly name: string | null;
  readonly sent: readonly Sent[];
}

export interface Head {
  /** Every field that came, those of the connection too. */
  readonly received: Headers;
  /** Those that go on. */
  readonly passedOn: Headers;
  readonly path: RequestPath;
}

/**
 * Puts in the secrets that fit a request, and refuses every placeholder that is not one of those in its own place. Fields are set
 * whether the client sent them or not: a client needs no placeholder to be authenticated.
 *
 * @throws Violation for a placeholder elsewhere. @throws Refused where a value cannot stand in a header.
 */
export function putIn({ received, passedOn, path }: Head, fitting: readonly BoundSecret[], all: readonly BoundSecret[]): PutIn {
  const revoked = fitting.find((secret) => secret.revoked === true);
  if (revoked !== undefined) {
    throw new Refused(
      "placeholder",
      `The secret "${revoked.binding.name}", which goes to this host, was removed or cannot be had; nothing was sent.`,
    );
  }
  const set = new Map<string, BoundSecret>();
  for (const secret of fitting) {
    const name = fieldOf(secret.binding);
    if (!set.has(name)) set.set(name, secret);
  }
  for (let at = 0; at < received.length; at += 2) {
    const name = received[at]!.toLowerCase();
    for (const { secret } of inField(name, received[at + 1]!, all)) {
      if (secret === null || !fitting.includes(secret) || fieldOf(secret.binding) !== name) {
        throw new Violation(secret?.binding ?? null, `the header ${name}`);
      }
      // Two secrets for one field: the client says which.
      set.set(name, secret);
    }
  }
  const headers = set.size === 0 ? passedOn : without(passedOn, ...set.keys());
  const sent: Sent[] = [];
  const added: string[] = [];
  for (const [name, { binding, value }] of set) {
    added.push(name, fieldValue(binding, value, sent));
  }
  const replaced = [inTarget(path.path, "path", fitting, all, sent), inTarget(path.query, "query", fitting, all, sent)];
  return {
    headers: added.length === 0 ? headers : [...headers, ...added],
    target: replaced.map(({ text }) => text).join(""),
    inBody: fitting.filter(({ binding }) => binding.replaceIn.includes("body")),
    name: [...set.values(), ...replaced.flatMap(({ used }) => used)][0]?.binding.name ?? null,
    sent,
  };
}

/** The header that a binding sets, in lower case. */
function fieldOf({ inject }: SecretBinding): string {
  return inject.type === "header" && inject.header !== undefined ? inject.header.toLowerCase() : "authorization";
}

function inField(name: string, value: string, all: readonly BoundSecret[]): ReturnType<typeof findPlaceholders> {
  const text = name.includes(PLACEHOLDER_PREFIX) ? `${name} ${readable(value)}` : readable(value);
  return text.includes(PLACEHOLDER_PREFIX) ? findPlaceholders(text, all) : [];
}

function fieldValue(binding: SecretBinding, value: string, sent: Sent[]): string {
  // oxlint-disable-next-line no-control-regex -- those are what is looked for
  if (value === "" || /[\0-\x08\x0a-\x1f\x7f]|[^\0-\xff]/.test(value)) {
    throw new Refused(
      "error",
      `The value of secret "${binding.name}" is empty or holds a character that no header can; nothing was sent.`,
      { status: 502 },
    );
  }
  sent.push({ text: value, standIn: binding.placeholder });
  if (binding.inject.type === "header") return value;
  if (binding.inject.type === "bearer") return `Bearer ${value}`;
  const user = binding.inject.username ?? "x-access-token";
  const [text, standIn] = [value, binding.placeholder].map((password) => Buffer.from(`${user}:${password}`).toString("base64")) as [
    string,
    string,
  ];
  sent.push({ text, standIn });
  return `Basic ${text}`;
}

/** `%73` and `s` are one and the same there (RFC 3986 section 2.3); the path has been decoded already. */
function inTarget(
  raw: string,
  part: "path" | "query",
  fitting: readonly BoundSecret[],
  all: readonly BoundSecret[],
  sent: Sent[],
): { text: string; used: BoundSecret[] } {
  const plain = raw.includes("%")
    ? raw.replaceAll(/%(2D|3\d|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9A])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : raw;
  if (!plain.includes(PLACEHOLDER_PREFIX)) return { text: raw, used: [] };
  // What decodes to reserved characters must stay as it came.
  const used: BoundSecret[] = [];
  let text = "";
  let from = 0;
  for (const { at, length, secret } of findPlaceholders(plain, all)) {
    if (secret === null || !fitting.includes(secret) || !secret.binding.replaceIn.includes(part)) {
      throw new Violation(secret?.binding ?? null, `the ${part}`);
    }
    const value = encodeURIComponent(secret.value);
    if (part === "path" && /^\.*$/.test(value)) throw new Violation(secret.binding, "the path, and its value is made of dots");
    sent.push({ text: secret.value, standIn: secret.binding.placeholder }, { text: value, standIn: secret.binding.placeholder });
    text += plain.slice(from, at) + value;
    from = at + length;
    used.push(secret);
  }
  return { text: text + plain.slice(from), used };
}
