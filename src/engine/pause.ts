import { parse, PauseRequest, type Principal, type Sandbox, SandboxerError } from "../contract/index.ts";
import { accessibleSandbox, requireHere } from "./access.ts";
import type { Context } from "./context.ts";
import { allow } from "./lifecycle.ts";
import { withCost } from "./money/cost.ts";
import { rest, rouse } from "./rest.ts";
import { handleOf, requireCapability } from "./use.ts";
import { toSandbox } from "./view.ts";

/**
 * Has a sandbox stand still: with its memory (`paused`), or with its disk alone (`suspended`). Resolves when the backend has done it; one
 * that stands still that way is answered as it is.
 *
 * @throws SandboxerError `wrong_state`, `capability_unsupported`, or what the backend answered.
 */
export async function pause(ctx: Context, who: Principal, id: string, input: PauseRequest): Promise<Sandbox> {
  const { to = "paused" } = parse(PauseRequest, input, { what: "pause" });
  const row = await accessibleSandbox(ctx, who, id);
  if (row.state !== to) {
    allow(row, to === "paused" ? "pause" : "suspend");
    requireCapability(await handleOf(ctx, row), to === "paused" ? "pause.memory" : "pause.disk", "to");
  }
  return withCost(ctx, toSandbox(row.state === to ? row : await rest(ctx, row, to, { because: "user" })));
}

/**
 * Has one that is paused or suspended run again; one that runs is answered as it is.
 *
 * @throws SandboxerError `wrong_state`, or what the backend answered.
 */
export async function resume(ctx: Context, who: Principal, id: string): Promise<Sandbox> {
  const row = await accessibleSandbox(ctx, who, id);
  if (row.state === "ready") return withCost(ctx, toSandbox(row));
  allow(row, row.state === "suspended" ? "wake" : "resume");
  await requireHere(ctx, row);
  if (ctx.clock.now() >= row.max_life_at)
    throw new SandboxerError("wrong_state", `sandbox ${id} is past its max_life, and is being ended`, { phase: "resume" });
  return withCost(ctx, toSandbox(await rouse(ctx, row, "user")));
}
