import { isId, isTerminal, SandboxerError, type Sandbox } from "../../contract/index.ts";
import type { ControlCall } from "./call.ts";
import { sandboxNotFound } from "./errors.ts";

/**
 * The sandbox a path names, in whatever state. What never was, what is another tenant's and what is no id at all answer
 * in the same words.
 *
 * @throws SandboxerError `sandbox_not_found`
 */
export async function knownSandbox({ ctx, who, call }: ControlCall): Promise<Sandbox> {
  const { id } = call;
  if (!isId("sandbox", id)) throw sandboxNotFound(id);
  return ctx.engine.get(who, id).catch((thrown: unknown) => {
    throw thrown instanceof SandboxerError && thrown.code === "sandbox_not_found" ? sandboxNotFound(id) : thrown;
  });
}

/**
 * The same where it runs or is paused; what has ended or is ending is not there any more.
 *
 * @throws SandboxerError `sandbox_not_found`; `wrong_state` while it is being made; `backend_unavailable` where its
 * backend does not answer for it, so that nobody takes it for gone.
 */
export async function liveSandbox(call: ControlCall): Promise<Sandbox> {
  const sandbox = await knownSandbox(call);
  const { id, state } = sandbox;
  if (isTerminal(state) || state === "stopping") throw sandboxNotFound(id);
  if (state === "lost")
    throw new SandboxerError("backend_unavailable", `the backend of sandbox "${id}" does not answer for it`, { retry_after: 5 });
  if (state === "provisioning") throw new SandboxerError("wrong_state", `sandbox "${id}" is still being made`);
  return sandbox;
}

/** What was thrown while using a sandbox that was alive a moment ago: its end is told as E2B tells it. */
export function orNotFound(id: string): (thrown: unknown) => never {
  return (thrown) => {
    if (thrown instanceof SandboxerError && (thrown.code === "sandbox_not_found" || thrown.code === "wrong_state"))
      throw sandboxNotFound(id);
    throw thrown;
  };
}
