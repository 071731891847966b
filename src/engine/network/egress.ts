import { type BoundSecret, type EgressInside, type EgressPolicy, type Ref, SandboxerError } from "../../contract/index.ts";
import { findNetwork, type SandboxRow, updateNetwork } from "../../ledger/index.ts";
import { type Context, op, providerOf } from "../context.ts";
import { countTraffic } from "./traffic.ts";
import { ingest } from "./ingest.ts";

/** The stored policy, as the boundary takes it. */
export function policyIn(text: string): EgressPolicy {
  return JSON.parse(text) as EgressPolicy;
}

/** Tells the boundary of a sandbox that does not exist yet. Its row stands already, so whatever happens the sweep finds it. */
export async function prepareEgress(ctx: Context, row: SandboxRow, secrets: readonly BoundSecret[]): Promise<EgressInside> {
  const network = await findNetwork(ctx.ledger.db, row.id);
  if (network === undefined) throw new SandboxerError("internal", `sandbox ${row.id} has no row for its egress`, { phase: "create" });
  const { id, tenant, generation } = row;
  return ctx.boundary.call((boundary) => boundary.prepare({ id, tenant, generation, policy: policyIn(network.policy), secrets }));
}

/** Has the boundary listen inside, and prove that what must fail does. Only after this anything can get out. */
export async function attachEgress(ctx: Context, row: Pick<SandboxRow, "id" | "backend">, ref: Ref, signal?: AbortSignal): Promise<void> {
  const { network } = providerOf(ctx, row.backend);
  if (network === undefined)
    throw new SandboxerError("capability_unsupported", `network.allow: backend ${row.backend} gives no network namespace`, {
      phase: "network",
      backend: row.backend,
    });
  const namespace = await network.namespace(ref, op(ctx, signal));
  await ctx.boundary.call((boundary) => boundary.attach(row.id, namespace));
}

/**
 * Has the boundary forget a sandbox, after what it still had to tell was taken. True where there is nothing of it left; false
 * leaves it to the sweep. Never throws: nothing gets out of a sandbox that is gone.
 */
export async function releaseEgress(ctx: Context, sandboxId: string): Promise<boolean> {
  try {
    const network = await findNetwork(ctx.ledger.db, sandboxId);
    if (network === undefined || network.released_at !== null) return true;
    await countTraffic(ctx, network);
    await ctx.boundary.call((boundary) => boundary.remove(sandboxId));
    await ingest(ctx);
    await updateNetwork(ctx.ledger.db, sandboxId, { released_at: ctx.clock.now(), attached: 0 });
    return true;
  } catch (thrown) {
    ctx.log.warn({ sandbox: sandboxId, error: String(thrown) }, "the boundary could not be told of an end; the sweep will");
    return false;
  }
}
