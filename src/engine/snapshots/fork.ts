import { type Fork, ForkRequest, parse, type Principal, type Sandbox } from "../../contract/index.ts";
import { changeSnapshot, findSnapshot } from "../../ledger/index.ts";
import { accessibleSandbox } from "../access.ts";
import type { Context } from "../context.ts";
import { parallel } from "../parallel.ts";
import { draft, planOf } from "../plan.ts";
import { ask } from "../policy/ask.ts";
import { sandboxThing } from "../policy/things.ts";
import { createFactsOf, provision } from "../provision.ts";
import { endSandbox } from "../teardown.ts";
import { removeSnapshot } from "./remove.ts";
import { accessibleSnapshot, toSnapshot } from "./rows.ts";
import { takeSnapshot } from "./take.ts";

const AT_ONCE = 4;

/** How long what they come from stays where they are not made: long enough to make them. */
const MAKING_SECONDS = 3600;

/** Makes sandboxes that go on from where one is now. All or none. */
export async function fork(ctx: Context, who: Principal, id: string, input: ForkRequest, signal?: AbortSignal): Promise<Fork> {
  const { count = 1, name, ...overrides } = parse(ForkRequest, input, { what: "request" });
  const source = await accessibleSandbox(ctx, who, id);
  const profile = `${source.profile_name}@${source.profile_version}`;
  const wanted = planOf(ctx, source.tenant, await draft(ctx, who, { profile, ...overrides }));
  await ask(ctx, who, "sandbox.fork", () => ({ resource: sandboxThing(source), ...contextOf(createFactsOf(who, wanted)) }));
  const snapshot = await takeSnapshot(ctx, who, id, { name: `fork of ${id}`, ttl: MAKING_SECONDS });
  const made: Sandbox[] = [];
  try {
    const request = { snapshot: snapshot.id, ...(name === undefined ? {} : { name }), ...overrides };
    await parallel(Array.from({ length: count }), AT_ONCE, async () => {
      made.push((await provision(ctx, who, request, signal === undefined ? {} : { signal })).sandbox);
    });
  } catch (thrown) {
    for (const one of made) await endSandbox(ctx, await accessibleSandbox(ctx, who, one.id), { reason: "error", detail: "another fork could not be made" });
    await letGo(ctx, snapshot.id);
    await removeSnapshot(ctx, await accessibleSnapshot(ctx, who, snapshot.id), "abandoned").catch((failure: unknown) =>
      ctx.log.warn({ snapshot: snapshot.id, error: String(failure) }, "what forks had in common could not be removed; the sweep will"),
    );
    throw thrown;
  }
  await letGo(ctx, snapshot.id);
  return {
    object: "fork",
    snapshot: toSnapshot(await accessibleSnapshot(ctx, who, snapshot.id)),
    sandboxes: made.sort((a, b) => (a.id < b.id ? -1 : 1)),
    preserves: ["disk"],
    side_effects: ["freezes_source"],
  };
} // prettier-ignore

function contextOf({ context }: ReturnType<typeof createFactsOf>) {
  return context === undefined ? {} : { context };
}

/** From now on it goes with the last that stands on it. */
async function letGo(ctx: Context, id: string): Promise<void> {
  const row = await findSnapshot(ctx.ledger.db, id);
  if (row !== undefined) await ctx.ledger.transaction((tx) => changeSnapshot(tx, row, { expires_at: ctx.clock.now() }));
}
