import {
  type EffectiveRule, type EgressPolicy, type NetworkChange, NetworkUpdate, parse, type Principal, SandboxerError,
} from "../../contract/index.ts"; // prettier-ignore
import { narrowNetwork } from "../../guard/index.ts";
import { appendEvent, type Db, findNetwork, findSandbox, updateNetwork } from "../../ledger/index.ts";
import { audit } from "../audit.ts";
import { type Context, durability } from "../context.ts";
import { allow } from "../lifecycle.ts";
import { requireCapability, usable } from "../use.ts";
import { applyPolicy } from "./apply.ts";
import { policyIn } from "./egress.ts";
import { viewOf } from "./read.ts";
import { toRule } from "./view.ts";

interface Difference {
  readonly added: EffectiveRule[];
  readonly removed: EffectiveRule[];
}

const content = (rule: EffectiveRule): string => JSON.stringify({ ...rule, id: "" });

/** Rules by what they say: one that only moves in the list is neither added nor removed. */
function difference(before: EgressPolicy, after: EgressPolicy): Difference {
  const [old, fresh] = [before.rules.map(toRule), after.rules.map(toRule)];
  const without = (rules: EffectiveRule[], others: EffectiveRule[]) => {
    const known = new Set(others.map(content));
    return rules.filter((rule) => !known.has(content(rule)));
  };
  return { added: without(fresh, old), removed: without(old, fresh) };
}

function noEgress(id: string): SandboxerError {
  return new SandboxerError("wrong_state", `sandbox ${id} was made without egress, and nothing can be opened for it`, {
    phase: "network",
    hint: "Make a new sandbox from a profile whose network.allow lists what it needs.",
  });
}

async function store(
  ctx: Context,
  tx: Db,
  { who, id }: { who: Principal; id: string },
  policy: EgressPolicy,
  narrowed: readonly string[],
): Promise<Difference> {
  const [row, network] = [await findSandbox(tx, id), await findNetwork(tx, id)];
  if (row === undefined || network === undefined) throw noEgress(id);
  allow(row, "use");
  const changed = difference(policyIn(network.policy), policy);
  const revision = network.revision + 1;
  const at = ctx.clock.now();
  await updateNetwork(tx, id, { policy: JSON.stringify(policy), revision, updated_at: at });
  await appendEvent(tx, {
    type: "network.updated",
    at,
    tenant: row.tenant,
    sandboxId: id,
    data: { revision, mode: policy.mode, added: changed.added, removed: changed.removed, narrowed },
  });
  await audit(tx, who, { action: "network.updated", at, target: id, detail: { tenant: row.tenant, revision, mode: policy.mode } });
  return changed;
}

/** Asked of the boundary, which has them open; null where it does not answer. */
async function wouldClose(ctx: Context, id: string, policy: EgressPolicy): Promise<number | null> {
  try {
    return (await ctx.boundary.call((boundary) => boundary.review(id, policy))).closed;
  } catch (thrown) {
    if (SandboxerError.from(thrown).code === "backend_unavailable") return null;
    throw thrown;
  }
}

/**
 * Replaces rules and limits of a live sandbox, within its profile and the operator's floor. Written down first, then told to the
 * boundary, which closes connections that are no longer allowed. Does not count as use.
 *
 * @throws SandboxerError `wrong_state` for what cannot be used or has no egress, `invalid_request` for a rule that cannot be
 * enforced, `backend_unavailable` where the boundary did not confirm: the change stands, and is applied when it is back.
 */
export async function updatePolicy(ctx: Context, who: Principal, id: string, input: NetworkUpdate): Promise<NetworkChange> {
  const { dry_run: dryRun = false, mode = "enforce", ...request } = parse(NetworkUpdate, input, { what: "network update" });
  const target = await usable(ctx, who, id);
  const network = await findNetwork(ctx.ledger.db, id);
  if (network === undefined) throw noEgress(id);
  requireCapability(target, "net.update", "network");
  const narrowed: string[] = [];
  const policy = narrowNetwork(policyIn(network.ceiling), { ...request, mode }, (field) => narrowed.push(field));
  if (dryRun) {
    const changed = difference(policyIn(network.policy), policy);
    const after = await viewOf(ctx, target.row, { ...network, policy: JSON.stringify(policy) });
    const closed = await wouldClose(ctx, target.row.id, policy);
    return { object: "network_change", dry_run: true, ...changed, narrowed, closed, network: after };
  }
  const changed = await ctx.ledger.transaction((tx) => store(ctx, tx, { who, id }, policy, narrowed), durability(ctx, target.row.backend));
  ctx.failpoint("network.after_row");
  const closed = await applyPolicy(ctx, id);
  ctx.failpoint("network.after_apply");
  const after = await findNetwork(ctx.ledger.db, id);
  return {
    object: "network_change",
    dry_run: false,
    ...changed,
    narrowed,
    closed,
    network: await viewOf(ctx, target.row, after ?? network),
  };
}
