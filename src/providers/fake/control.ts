import { FaultPlan } from "./faults.ts";
import type { Fault, Operation } from "./faults.ts";
import type { FakeWorld } from "./world.ts";

/**
 * A handle on one fake backend, for the test that owns it. Make it, give it as `options.control`, keep it:
 *
 * ```ts
 * const control = new FakeControl();
 * const provider = await fake.open({ ...options, control }, context);
 * control.addFault({ on: "create", kind: "rate_limit", times: 1 });
 * ```
 *
 * It belongs to the backend it was opened with; a second backend needs its own.
 */
export class FakeControl {
  /** @internal */
  readonly plan: FaultPlan = new FaultPlan();
  #world: FakeWorld | undefined;

  /** @internal Throws where it is in use already: two backends would strike each other's calls. */
  attach(world: FakeWorld): void {
    if (this.#world !== undefined && this.#world !== world) throw new Error("this FakeControl belongs to another fake backend already");
    this.#world = world;
  }

  /** Arms a fault; it strikes from the next call on. */
  addFault(fault: Fault): void {
    this.plan.add(fault);
  }

  /** Disarms all faults, or those of one operation. */
  clearFaults(on?: Operation): void {
    this.plan.clear(on);
  }

  /** The sandbox vanishes, as if the backend had lost its host. Says whether it was there. */
  lose(id: string): boolean {
    return this.#world?.vanish(id) ?? false;
  }

  /** The sandbox stops by itself but is still listed, as after its host's OOM killer or its own deadline. Says whether it was there. */
  stop(id: string, because: "expired" | "oom" | "exited" | "unknown"): boolean {
    return this.#world?.stop(id, because) ?? false;
  }

  /** The backend pauses it, or lets it run, by itself. Says whether it was there. */
  setPaused(id: string, paused: boolean): boolean {
    const gate = this.#world?.byId(id)?.gate;
    if (paused) gate?.close();
    else gate?.open();
    return gate !== undefined;
  }

  /** Its disk is an empty one from now on. Says whether it was there. */
  loseDisk(id: string): boolean {
    const sandbox = this.#world?.byId(id);
    sandbox?.loseDisk();
    return sandbox !== undefined;
  }

  /** Ids of all sandboxes at the backend, as it sees them itself: no fault strikes here. */
  ids(): string[] {
    return this.#world?.ids() ?? [];
  }
}
