import { createHmac, timingSafeEqual } from "node:crypto";
import type { Tokens } from "./context.ts";

/**
 * Tokens as an HMAC of the sandbox's id under a secret of the data directory: nothing to store, nothing to lose at a
 * restart, and another data directory's tokens do not hold here.
 *
 * @param secret Read when the first token is needed.
 */
export function createTokens(secret: () => Uint8Array): Tokens {
  const token = (kind: "envd" | "traffic", sandboxId: string): string =>
    createHmac("sha256", secret()).update(`${kind}:${sandboxId}`).digest("hex");
  return {
    envd: (sandboxId) => token("envd", sandboxId),
    traffic: (sandboxId) => token("traffic", sandboxId),
    verify: (kind, sandboxId, presented) => sameText(token(kind, sandboxId), presented),
  };
}

/** Whether two texts are the same, in a time that tells nothing of where they differ; their lengths are no secret. */
export function sameText(expected: string, presented: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(presented)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
