import { parse, Profile, SandboxerError, type Principal } from "../../../contract/index.ts";
import type { Engine } from "../../../engine/engine.ts";
import type { DataCall, E2bContext } from "../context.ts";
import { absolute } from "./path.ts";
import { stateOf } from "./state.ts";

/** Where a sandbox's home is unless its profile says another. */
const DEFAULT_HOME = "/home/sandbox";

/** The sandbox ended in the middle of a stream. */
export class Gone extends Error {
  override readonly name = "Gone";
}

/** One request to a sandbox that runs. */
export class Session {
  readonly ctx: E2bContext;
  readonly call: DataCall;
  readonly home: string;

  private constructor(ctx: E2bContext, call: DataCall, home: string) {
    this.ctx = ctx;
    this.call = call;
    this.home = home;
  }

  /** @throws SandboxerError `wrong_state` or `sandbox_not_found` where it does not run. */
  static async open(ctx: E2bContext, call: DataCall): Promise<Session> {
    let { state, profile, lifetime } = await ctx.engine.get(call.who, call.sandboxId);
    const still = state === "paused" || state === "suspended";
    // Whoever asks whether it runs does not wake it.
    if (still && lifetime.on_use === "resume" && new URL(call.request.url).pathname !== "/health")
      ({ state } = await ctx.engine.resume(call.who, call.sandboxId));
    if (state !== "ready") throw new SandboxerError("wrong_state", `sandbox ${call.sandboxId} is ${state}`);
    const { homes } = stateOf(ctx);
    let home = homes.get(call.sandboxId);
    if (home === undefined) {
      const record = await ctx.engine.profiles.get(call.who, `${profile.name}@${profile.version}`);
      home = parse(Profile, record.document, { what: `profile ${profile.name}` }).env?.["HOME"] ?? DEFAULT_HOME;
      homes.set(call.sandboxId, home);
    }
    return new Session(ctx, call, home);
  }

  get engine(): Engine {
    return this.ctx.engine;
  }

  get who(): Principal {
    return this.call.who;
  }

  get id(): string {
    return this.call.sandboxId;
  }

  /** An absolute path for one of the wire: relative ones start at the home. */
  path(path: string): string {
    return absolute(path, this.home);
  }

  /** Whether it still runs. One read of the ledger. */
  async isAlive(): Promise<boolean> {
    try {
      return (await this.engine.get(this.who, this.id)).state === "ready";
    } catch (thrown) {
      if (thrown instanceof SandboxerError && thrown.code === "sandbox_not_found") return false;
      throw thrown;
    }
  }

  /** @throws Gone where the sandbox has ended. */
  async checkAlive(): Promise<void> {
    if (await this.isAlive()) return;
    throw new Gone(`sandbox ${this.id} has ended`);
  }

  /** Ends an answer that is under way so that it does not look complete; one that has not begun can still say why. */
  breakOff(): void {
    if (this.call.outgoing?.headersSent !== false) this.call.destroy();
  }
}
