import { isTerminal, type NetworkVerdict, parse, Profile } from "../../contract/index.ts";
import { type Db, findSandbox, type SandboxRow } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { move } from "../lifecycle.ts";
import { resolveProfile } from "../profiles.ts";

/** A placeholder that was sent where its secret may not go, from a sandbox whose profile says that this ends it. */
export interface Violation {
  readonly sandboxId: string;
  readonly detail: string;
}

async function endsSandbox(ctx: Context, row: SandboxRow, name: string): Promise<boolean> {
  const reference = `${row.profile_name}@${row.profile_version}`;
  const { document } = await resolveProfile(ctx, row.tenant, reference);
  const { secrets = [] } = parse(Profile, document, { what: `profile ${reference}` });
  return secrets.some((secret) => secret.name === name && secret.inject.on_violation === "terminate");
}

/** Those entries that end their sandboxes, the first of each. */
export async function violationsAmong(ctx: Context, entries: readonly NetworkVerdict[]): Promise<Violation[]> {
  const found = new Map<string, Violation>();
  for (const { sandbox_id: id, reason, secret, host, port } of entries) {
    if (reason !== "placeholder" || secret === null || found.has(id)) continue;
    const row = await findSandbox(ctx.ledger.db, id);
    if (row === undefined || isTerminal(row.state) || !(await endsSandbox(ctx, row, secret))) continue;
    found.set(id, { sandboxId: id, detail: `the placeholder of secret ${secret} was sent to ${host}:${port}` });
  }
  return [...found.values()];
}

/**
 * Writes `stopping` beside the entry that is the reason, so that no crash in between lets it live. Nobody's work from then on: the
 * watch ends it within a second, and any sweep does.
 */
export async function stopFor(ctx: Context, tx: Db, { sandboxId, detail }: Violation): Promise<void> {
  const row = await findSandbox(tx, sandboxId);
  if (row === undefined || isTerminal(row.state) || row.state === "stopping" || row.state === "provisioning") return;
  const patch = { owner: null, desired: "terminated" as const, termination_reason: "policy" as const, termination_detail: detail };
  await move(tx, sandboxId, "stop", { at: ctx.clock.now(), patch });
}
