import { z } from "zod";
import { type Sandbox, SandboxerError } from "../../contract/index.ts";
import { NO_CONTENT, type Answer, type ControlCall } from "./call.ts";
import { DEFAULT_TIMEOUT, Timeout } from "./create.ts";
import { sandboxAnswer } from "./describe.ts";
import { unsupported } from "./errors.ts";
import { extend } from "./lifetime.ts";
import { liveSandbox, orNotFound } from "./live.ts";

const PauseBody = z.strictObject({ memory: z.boolean().optional() });
const ConnectBody = z.strictObject({ timeout: Timeout.optional(), memory: z.boolean().optional(), autoPause: z.boolean().optional() });

const standsStill = ({ state }: Sandbox): boolean => state === "paused" || state === "suspended";

/**
 * POST .../pause: with its memory, or (memory: false) with its disk alone. Its timeout does not end it meanwhile, as at E2B; its max_life does.
 * 409, which the SDK answers as false, where it stands still already.
 */
export async function pause(call: ControlCall): Promise<Answer> {
  const { memory = true } = await call.body(PauseBody);
  const { ctx, who } = call;
  const sandbox = await liveSandbox(call);
  const { id, state, max_life_at } = sandbox;
  if (standsStill(sandbox)) throw new SandboxerError("wrong_state", `sandbox "${id}" is ${state} already`);
  await ctx.engine.pause(who, id, { to: memory ? "paused" : "suspended" }).catch(orNotFound(id));
  const left = (Date.parse(max_life_at) - Date.now()) / 1000;
  if (left > 0) await ctx.engine.renew(who, id, { ttl: left }).catch(orNotFound(id));
  return NO_CONTENT;
}

/**
 * POST .../connect and .../resume: one that runs gets more time, never less. One that stands still runs again, for the time that is asked
 * for; with memory: false from its disk alone.
 */
export async function connect(call: ControlCall): Promise<Answer> {
  const { timeout = DEFAULT_TIMEOUT, memory = true, autoPause } = await call.body(ConnectBody);
  const sandbox = await liveSandbox(call);
  if (autoPause === true && sandbox.lifetime.on_expire === "terminate")
    throw unsupported("autoPause", "is said when a sandbox is made, and this one was made without");
  const answered = standsStill(sandbox) ? await again(call, sandbox, timeout, memory) : await extend(call, sandbox.id, timeout);
  return { status: 200, body: sandboxAnswer(call.ctx, answered) };
}

async function again({ ctx, who }: ControlCall, { id, state }: Sandbox, timeout: number, memory: boolean): Promise<Sandbox> {
  if (!memory && state === "paused") await ctx.engine.pause(who, id, { to: "suspended" }).catch(orNotFound(id));
  const resumed = await ctx.engine.resume(who, id).catch(orNotFound(id));
  return timeout === 0 ? resumed : ctx.engine.renew(who, id, { ttl: timeout, shorten: true }).catch(orNotFound(id));
}
