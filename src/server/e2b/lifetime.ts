import { z } from "zod";
import { isTerminal, SandboxerError } from "../../contract/index.ts";
import { NO_CONTENT, type Answer, type ControlCall } from "./call.ts";
import { DEFAULT_TIMEOUT, Timeout } from "./create.ts";
import { sandboxInfo } from "./describe.ts";
import { sandboxNotFound, unsupported } from "./errors.ts";
import { knownSandbox, liveSandbox, orNotFound } from "./live.ts";

const TimeoutBody = z.strictObject({ timeout: Timeout });
const RefreshBody = z.strictObject({ duration: Timeout.optional() });

/** GET /sandboxes/{id}. */
export async function info(call: ControlCall): Promise<Answer> {
  return { status: 200, body: await sandboxInfo(call, await liveSandbox(call)) };
}

/** POST .../timeout: the sandbox ends so many seconds from now, earlier or later than before; 0 ends it. */
export async function setTimeout(call: ControlCall): Promise<Answer> {
  const { timeout } = await call.body(TimeoutBody);
  const { ctx, who } = call;
  const { id } = await liveSandbox(call);
  if (timeout === 0) await ctx.engine.destroy(who, id, "expired");
  else await ctx.engine.renew(who, id, { ttl: timeout, shorten: true }).catch(orNotFound(id));
  return NO_CONTENT;
}

/** POST .../refreshes: an older name for giving more time. */
export async function refresh(call: ControlCall): Promise<Answer> {
  const { duration = DEFAULT_TIMEOUT } = await call.body(RefreshBody);
  await extend(call, (await liveSandbox(call)).id, duration);
  return NO_CONTENT;
}

/** More time, never less. */
export async function extend({ ctx, who }: ControlCall, id: string, seconds: number) {
  // A renew is of more than nothing; of nothing it would change nothing.
  if (seconds === 0) return ctx.engine.get(who, id);
  return ctx.engine.renew(who, id, { ttl: seconds }).catch(orNotFound(id));
}

/**
 * DELETE /sandboxes/{id}: 204 when the backend has confirmed it, 404 for what has ended. An end that could not be confirmed
 * is tried again by the next call.
 */
export async function kill(call: ControlCall): Promise<Answer> {
  const { ctx, who } = call;
  const { id } = call.call;
  if (isTerminal((await knownSandbox(call)).state)) throw sandboxNotFound(id);
  const { state } = await ctx.engine.destroy(who, id).catch(orNotFound(id));
  if (!isTerminal(state)) throw new SandboxerError("backend_unavailable", `the end of sandbox "${id}" is not confirmed yet`);
  return NO_CONTENT;
}

/** For what this version cannot do to a sandbox. One that is not there is told first. */
export function refused(what: string): (call: ControlCall) => Promise<Answer> {
  return async (call) => {
    await liveSandbox(call);
    throw unsupported(what, "this version of sand-boxer does not have it");
  };
}
