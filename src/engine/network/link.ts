import { type Boundary, SandboxerError } from "../../contract/index.ts";

/** How long an attempt that failed is remembered: what waits for the boundary is not held up by each other's attempts. */
const RETRY_MS = 1000;

/**
 * The engine's way to the boundary. Connected, and the boundary's process started, when the first sandbox with egress needs it;
 * a host without one never runs it.
 */
export class BoundaryLink {
  readonly #open: (() => Promise<Boundary>) | undefined;
  #boundary: Promise<Boundary> | null = null;
  #failed: { error: SandboxerError; at: number } | null = null;
  /** Where the control plane listens: told to every boundary that is connected to. */
  readonly #protected = new Set<string>();
  /** Why it did not answer last; null: it did, or was never needed. */
  problem: string | null = null;

  constructor(open: (() => Promise<Boundary>) | undefined) {
    this.#open = open;
  }

  /** Whether this process has needed it. */
  get used(): boolean {
    return this.#boundary !== null || this.#failed !== null;
  }

  /**
   * One call to it; what it throws is remembered as the problem, and the next that answers ends it.
   *
   * @throws SandboxerError what the call threw, or `backend_unavailable` where the boundary cannot be had.
   */
  async call<T>(work: (boundary: Boundary) => Promise<T>): Promise<T> {
    try {
      const answer = await work(await this.#connected());
      this.problem = null;
      return answer;
    } catch (thrown) {
      const error = SandboxerError.from(thrown, { phase: "network" });
      if (error.code === "backend_unavailable") this.problem = error.message;
      throw error;
    }
  }

  async #connected(): Promise<Boundary> {
    if (this.#open === undefined)
      throw new SandboxerError("backend_unavailable", "this process was opened without a boundary for egress", { phase: "network" });
    if (this.#failed !== null && performance.now() - this.#failed.at < RETRY_MS) throw this.#failed.error;
    this.#boundary ??= this.#opened(this.#open);
    try {
      const boundary = await this.#boundary;
      this.#failed = null;
      return boundary;
    } catch (thrown) {
      this.#boundary = null;
      const error =
        thrown instanceof SandboxerError
          ? thrown
          : new SandboxerError("backend_unavailable", `the boundary cannot be started: ${String(thrown)}`, { cause: thrown });
      this.#failed = { error, at: performance.now() };
      throw error;
    }
  }

  async #opened(open: () => Promise<Boundary>): Promise<Boundary> {
    const boundary = await open();
    if (this.#protected.size > 0) await boundary.protect([...this.#protected]);
    return boundary;
  }

  /** No sandbox may reach this address from now on. Starts no boundary where none was needed. */
  async protect(address: string): Promise<void> {
    this.#protected.add(address);
    if (this.used) await this.call((boundary) => boundary.protect([address]));
  }

  /** Lets go of the connection; the boundary lives on with its sessions. */
  async close(): Promise<void> {
    const boundary = await this.#boundary?.catch(() => undefined);
    this.#boundary = null;
    await boundary?.close();
  }
}
