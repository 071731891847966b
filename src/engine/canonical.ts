import { createHash } from "node:crypto";

/** JSON with the keys of every object sorted: the same content is the same text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** sha256 of text, hex. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** sha256 over the canonical JSON, hex. */
export function digest(value: unknown): string {
  return sha256(canonicalJson(value));
}
