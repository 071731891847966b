import type { SandboxRow } from "../ledger/index.ts";

/** What this process itself is doing to sandboxes now: no registry of sandboxes, those are the ledger's. */
export class LiveWork {
  readonly #creates = new Map<string, { readonly abort: AbortController; readonly done: Promise<void> }>();
  readonly #execs = new Map<string, { readonly sandboxId: string; readonly abort: AbortController }>();
  readonly #connections = new Map<AbortController, { readonly sandboxId: string; readonly published: number | null }>();
  readonly #ends = new Map<string, Promise<SandboxRow>>();
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #background = new Set<Promise<unknown>>();

  /** Registers a create until the returned function is called. */
  beginCreate(sandboxId: string, abort: AbortController): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#creates.set(sandboxId, { abort, done: promise });
    return () => {
      this.#creates.delete(sandboxId);
      resolve();
    };
  }

  isCreating(sandboxId: string): boolean {
    return this.#creates.has(sandboxId);
  }

  /** Aborts a create and resolves once it has unwound. */
  async cancelCreate(sandboxId: string): Promise<void> {
    const create = this.#creates.get(sandboxId);
    create?.abort.abort();
    await create?.done;
  }

  beginExec(execId: string, sandboxId: string, abort: AbortController): () => void {
    this.#execs.set(execId, { sandboxId, abort });
    return () => this.#execs.delete(execId);
  }

  isRunning(execId: string): boolean {
    return this.#execs.has(execId);
  }

  abortExecs(sandboxId: string): void {
    for (const exec of this.#execs.values()) if (exec.sandboxId === sandboxId) exec.abort.abort();
  }

  /** Registers a connection to a port until the returned function is called; `published` is the port where a visitor made it. */
  beginConnection(sandboxId: string, published: number | null, abort: AbortController): () => void {
    this.#connections.set(abort, { sandboxId, published });
    return () => this.#connections.delete(abort);
  }

  countConnections(sandboxId: string): number {
    return [...this.#connections.values()].filter((connection) => connection.sandboxId === sandboxId).length;
  }

  /** Ends a sandbox's connections: all, or those that visitors have to one port. */
  abortConnections(sandboxId: string, published?: number): void {
    for (const [abort, connection] of this.#connections)
      if (connection.sandboxId === sandboxId && (published === undefined || connection.published === published)) abort.abort();
  }

  isEnding(sandboxId: string): boolean {
    return this.#ends.has(sandboxId);
  }

  /** However many ask for it at once, one teardown runs and all get its result. */
  end(sandboxId: string, work: () => Promise<SandboxRow>): Promise<SandboxRow> {
    const running = this.#ends.get(sandboxId);
    if (running !== undefined) return running;
    const started = work().finally(() => this.#ends.delete(sandboxId));
    this.#ends.set(sandboxId, started);
    return started;
  }

  /** Moves of one sandbox, one after the other. */
  inTurn<T>(sandboxId: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(sandboxId) ?? Promise.resolve()).then(work, work);
    this.#turns.set(sandboxId, turn);
    const forget = () => {
      if (this.#turns.get(sandboxId) === turn) this.#turns.delete(sandboxId);
    };
    turn.then(forget, forget);
    return turn;
  }

  isMoving(sandboxId: string): boolean {
    return this.#turns.has(sandboxId);
  }

  /** Resolves when nothing moves it; how that went does not matter here. */
  async moved(sandboxId: string): Promise<void> {
    await this.#turns.get(sandboxId)?.catch(() => undefined);
  }

  /** Work that nobody awaits; it must handle its own errors. `settled` waits for it. */
  background(work: Promise<void>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }

  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.allSettled(this.#background);
  }
}
