import { SandboxerError } from "../../contract/index.ts";
import type { IsolationLevel, Observed, Ref, SandboxSpec } from "../../contract/index.ts";
import { FakeSandbox } from "./sandbox.ts";

/** The backend itself: all its sandboxes. It lives and dies with this object. */
export class FakeWorld {
  readonly #sandboxes = new Map<string, FakeSandbox>();
  readonly #isolation: IsolationLevel;
  readonly #concurrencyMax: number;

  constructor(isolation: IsolationLevel, concurrencyMax: number) {
    this.#isolation = isolation;
    this.#concurrencyMax = concurrencyMax;
  }

  /** Idempotent on the id. Throws `conflict` where that id stands there with another generation. */
  make(spec: SandboxSpec): FakeSandbox {
    const existing = this.#sandboxes.get(spec.id);
    if (existing !== undefined) {
      if (existing.spec.generation === spec.generation) return existing;
      throw new SandboxerError("conflict", `${spec.id} exists with generation ${existing.spec.generation}`, { phase: "create" });
    }
    if (this.#sandboxes.size >= this.#concurrencyMax)
      throw new SandboxerError("quota_exceeded", `the fake backend holds ${this.#concurrencyMax} sandboxes at most`, { phase: "create" });
    const sandbox = new FakeSandbox(spec, this.#isolation);
    this.#sandboxes.set(spec.id, sandbox);
    return sandbox;
  }

  /** The sandbox of a handle; an old generation's handle reaches nothing. */
  find(ref: Ref): FakeSandbox | undefined {
    const sandbox = this.#sandboxes.get(ref.id);
    return sandbox?.spec.generation === ref.generation ? sandbox : undefined;
  }

  /** The same, for what needs it alive. Throws `sandbox_not_found` or `wrong_state`. */
  running(ref: Ref): FakeSandbox {
    const sandbox = this.find(ref);
    if (sandbox === undefined)
      throw new SandboxerError("sandbox_not_found", `the fake backend has no sandbox ${ref.id} of generation ${ref.generation}`);
    if (sandbox.stopped !== undefined) throw new SandboxerError("wrong_state", `sandbox ${ref.id} has stopped: ${sandbox.stopped}`);
    if (sandbox.suspended || sandbox.gate.closed)
      throw new SandboxerError("wrong_state", `sandbox ${ref.id} is ${sandbox.suspended ? "suspended" : "paused"}`);
    return sandbox;
  }

  /** The same, whether it runs or not. */
  present(ref: Ref): FakeSandbox {
    const sandbox = this.find(ref);
    if (sandbox === undefined)
      throw new SandboxerError("sandbox_not_found", `the fake backend has no sandbox ${ref.id} of generation ${ref.generation}`);
    return sandbox;
  }

  /** By its id, whatever its generation. */
  byId(id: string): FakeSandbox | undefined {
    return this.#sandboxes.get(id);
  }

  destroy(ref: Ref): "destroyed" | "absent" {
    return this.find(ref) !== undefined && this.vanish(ref.id) ? "destroyed" : "absent";
  }

  vanish(id: string): boolean {
    this.#sandboxes.get(id)?.stop("unknown");
    return this.#sandboxes.delete(id);
  }

  stop(id: string, because: NonNullable<Observed["stoppedBecause"]>): boolean {
    const sandbox = this.#sandboxes.get(id);
    sandbox?.stop(because);
    return sandbox !== undefined;
  }

  ids(): string[] {
    return [...this.#sandboxes.keys()];
  }

  refs(): Ref[] {
    return Array.from(this.#sandboxes.values(), (sandbox) => sandbox.created.ref);
  }

  clear(): void {
    for (const id of this.ids()) this.vanish(id);
  }
}
