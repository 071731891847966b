import { parse, type Principal, RenewRequest, type Sandbox } from "../contract/index.ts";
import { findSandbox } from "../ledger/index.ts";
import { sandboxFor } from "./access.ts";
import { usedAt } from "./activity.ts";
import { followClock } from "./clock-jump.ts";
import { type Context, durability } from "./context.ts";
import { allow, move } from "./lifecycle.ts";
import { withCost } from "./money/cost.ts";
import { toSandbox } from "./view.ts";

/**
 * Moves the ttl clock: never beyond max_life or the operator's floor, never back unless `shorten` is true. Against an
 * expiry at the same moment the ledger's order decides: the expiry looks again in its own transaction.
 *
 * @throws SandboxerError `wrong_state` for what has ended or is ending.
 */
export async function renew(ctx: Context, who: Principal, id: string, input: RenewRequest): Promise<Sandbox> {
  const request = parse(RenewRequest, input, { what: "renew" });
  const { backend } = await sandboxFor(ctx, who, id, "renew");
  await followClock(ctx);
  const row = await ctx.ledger.transaction(
    async (tx) => {
      const current = await findSandbox(tx, id);
      const now = ctx.clock.now();
      const ttl = Math.min(request.ttl, ctx.config.floor?.ttl ?? Infinity);
      const asked = Math.min(current?.max_life_at ?? 0, now + Math.ceil(ttl * 1000));
      const expires = request.shorten === true ? asked : Math.max(asked, current?.expires_at ?? 0);
      return move(tx, id, "renew", { at: now, patch: { expires_at: expires }, data: { expires_at: new Date(expires).toISOString() } });
    },
    durability(ctx, backend),
  );
  return withCost(ctx, toSandbox(row));
}

/** An explicit use: sets the idle clock back. */
export async function touch(ctx: Context, who: Principal, id: string): Promise<Sandbox> {
  await sandboxFor(ctx, who, id, "use");
  const row = await ctx.ledger.transaction(async (tx) => {
    const current = await findSandbox(tx, id);
    if (current !== undefined) allow(current, "use");
    return move(tx, id, "use", { at: ctx.clock.now(), patch: usedAt(current ?? { idle_seconds: null }, ctx.clock.now()) });
  });
  return withCost(ctx, toSandbox(row));
}
