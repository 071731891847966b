import { randomBytes } from "node:crypto";
import { type Ref, type RestState, SandboxerError } from "../contract/index.ts";
import type { SandboxRow } from "../ledger/index.ts";
import { type Context, op, providerOf } from "./context.ts";

/** On the sandbox's disk, and in nobody's way. */
const PATH = "/var/tmp/.sandboxer-canary";
const BYTES = 32;

/** Whether it must be provable afterwards that the state is the one of before. */
export function wantsCanary(row: Pick<SandboxRow, "persistence">, to?: RestState): boolean {
  return row.persistence === "persistent" || to === "suspended";
}

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield new TextEncoder().encode(text);
}

/** Writes a new one and answers what it says; null where the backend has no files. One file write. Throws what that throws. */
export async function writeCanary(ctx: Context, row: Pick<SandboxRow, "backend">, ref: Ref, signal?: AbortSignal): Promise<string | null> {
  const { files } = providerOf(ctx, row.backend);
  if (files === undefined) return null;
  const canary = randomBytes(BYTES / 2).toString("hex");
  await files.write(ref, PATH, bytesOf(canary), { mode: 0o600 }, op(ctx, signal));
  return canary;
}

/** Whether it says what was written. Throws where it could not be looked at. */
export async function canaryHolds(ctx: Context, row: Pick<SandboxRow, "backend" | "canary">, ref: Ref): Promise<boolean> {
  const { files } = providerOf(ctx, row.backend);
  if (files === undefined || row.canary === null) return true;
  try {
    const { body } = await files.read(ref, PATH, { length: BYTES + 1 }, op(ctx));
    let text = "";
    for await (const piece of body) text += new TextDecoder().decode(piece);
    return text === row.canary;
  } catch (thrown) {
    if (thrown instanceof SandboxerError && ["file_not_found", "file_denied", "file_conflict"].includes(thrown.code)) return false;
    throw thrown;
  }
}
