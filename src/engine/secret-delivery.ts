import { type BoundSecret, SandboxerError, type SecretBinding, type SecretSource } from "../contract/index.ts";
import { findSandbox, markDelivered, sandboxSecrets, type SandboxSecretRow, staleSandboxes } from "../ledger/index.ts";
import { type Context, hostOf, neverAborted } from "./context.ts";
import type { Report } from "./report.ts";
import { currentValue } from "./secret-value.ts";

/** Of one delivery. What is still behind after these, such as a value that cannot be unsealed, is the sweep's. */
const MAX_ROUNDS = 3;

/** A sandbox's secret as it stands now; of a stored one with the version, 0 where it is revoked. */
interface Rebound {
  readonly row: SandboxSecretRow;
  readonly bound: BoundSecret;
  readonly version: number | null;
}

/**
 * All secrets of a sandbox with the values they have now, under the placeholders that it knows. One that was removed or
 * cannot be had is `revoked`: nothing goes on with an old value.
 *
 * @throws SandboxerError `sandbox_not_found`
 */
export async function rebindSecrets(ctx: Context, sandboxId: string): Promise<BoundSecret[]> {
  return (await rebind(ctx, sandboxId)).map(({ bound }) => bound);
}

async function rebind(ctx: Context, sandboxId: string): Promise<Rebound[]> {
  const sandbox = await findSandbox(ctx.ledger.db, sandboxId);
  if (sandbox === undefined) throw new SandboxerError("sandbox_not_found", `there is no sandbox ${sandboxId}`);
  const rows = await sandboxSecrets(ctx.ledger.db, sandboxId);
  return Promise.all(
    rows.map(async (row): Promise<Rebound> => {
      const binding = JSON.parse(row.binding) as SecretBinding;
      const source = JSON.parse(row.source) as SecretSource;
      try {
        const wanted = { tenant: sandbox.tenant, source, binding, local: row.local === 1, field: `secret ${row.name}` };
        const { value, version } = await currentValue(ctx, wanted, neverAborted());
        return { row, bound: { binding, value }, version };
      } catch (thrown) {
        const { code, message } = SandboxerError.from(thrown);
        // What could not be asked about is not known to be revoked.
        if (code === "internal" || code === "storage_unavailable") throw thrown;
        if (code !== "secret_not_found") ctx.log.error({ sandbox_id: sandboxId, secret: row.name, error: message }, "a secret is withheld");
        return { row, bound: { binding, value: "", revoked: true }, version: row.vault === null ? null : 0 };
      }
    }),
  );
}

/**
 * Tells the boundary what a sandbox's secrets are now: the next request has them. Who was overtaken by another change, of this
 * process or another, tells it again, so the last word is the newest.
 *
 * @throws SandboxerError what the boundary answers; the next sweep then tries again.
 */
export async function deliverSecrets(ctx: Context, sandboxId: string): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const rebound = await rebind(ctx, sandboxId);
    if (rebound.length === 0) return;
    const secrets = rebound.map(({ bound }) => bound);
    try {
      await ctx.boundary.call((boundary) => boundary.secrets(sandboxId, secrets));
    } catch (thrown) {
      // Not there yet, or no more: nothing gets out. A create that is under way looks again once it has its session.
      if (thrown instanceof SandboxerError && thrown.code === "sandbox_not_found") return;
      throw thrown;
    }
    await ctx.ledger.transaction(async (tx) => {
      for (const { row, version } of rebound) if (version !== null) await markDelivered(tx, sandboxId, row.name, version);
    });
    if ((await staleSandboxes(ctx.ledger.db, hostOf(ctx), sandboxId)).length === 0) return;
  }
}

/** For a create, once the boundary has the session: whether a secret was changed since it was resolved, and if so its value now. */
export async function deliverIfStale(ctx: Context, sandboxId: string): Promise<void> {
  if ((await staleSandboxes(ctx.ledger.db, hostOf(ctx), sandboxId)).length > 0) await deliverSecrets(ctx, sandboxId);
}

/**
 * The same for several. All are tried before it fails.
 *
 * @throws SandboxerError `backend_unavailable`: the change is written down, and does not hold everywhere yet.
 */
export async function deliverTo(ctx: Context, sandboxIds: readonly string[]): Promise<void> {
  const failed = await failures(ctx, sandboxIds);
  const [first] = failed;
  if (first === undefined) return;
  throw new SandboxerError(
    "backend_unavailable",
    `the change is stored, but ${failed.length} of ${sandboxIds.length} sandboxes still have the secret as it was: ${first.id}: ${first.error.message}`,
    { phase: "secret", hint: "The next sweep tries again ('sand-boxer sweep'); end those sandboxes where it must hold at once." },
  );
}

/** For the sweep: tells again what a boundary missed. */
export async function deliverMissed(ctx: Context, report: Report): Promise<void> {
  for (const { id, error } of await failures(ctx, await staleSandboxes(ctx.ledger.db, hostOf(ctx)))) report.error(error, { sandboxId: id });
}

async function failures(ctx: Context, sandboxIds: readonly string[]): Promise<{ id: string; error: SandboxerError }[]> {
  const failed: { id: string; error: SandboxerError }[] = [];
  for (const id of sandboxIds)
    await deliverSecrets(ctx, id).catch((thrown: unknown) => void failed.push({ id, error: SandboxerError.from(thrown) }));
  return failed;
}
