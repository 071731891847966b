import { type Beside, type Principal, SandboxerError } from "../contract/index.ts";
import { type Context, op } from "./context.ts";
import type { Engine } from "./engine.ts";
import { requireCapability, streaming, type Usable, usable, using } from "./use.ts";

/** What a profile has run beside a sandbox: only looked at here, since the backend starts and ends it with the sandbox. */
export function services(ctx: Context): Engine["services"] {
  async function target(who: Principal, id: string): Promise<{ at: Usable; beside: Beside }> {
    const at = await usable(ctx, who, id);
    requireCapability(at, "services", "services");
    const { beside } = at.provider;
    if (beside === undefined)
      throw new SandboxerError("capability_unsupported", `backend ${at.row.backend} says nothing of its services`, {
        backend: at.row.backend,
      });
    return { at, beside };
  }
  return {
    async list(who, id) {
      const { at, beside } = await target(who, id);
      return using(ctx, at, "services", () => beside.list(at.ref, op(ctx)));
    },
    async logs(who, id, name, options, signal) {
      const { at, beside } = await target(who, id);
      return streaming(ctx, at, "services", beside.logs(at.ref, name, options, op(ctx, signal)));
    },
  };
}
