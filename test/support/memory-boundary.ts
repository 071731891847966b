import {
  type BoundSecret,
  type Boundary,
  type EgressPolicy,
  type EgressSession,
  type NetworkVerdict,
  SandboxerError,
} from "../../src/contract/index.ts";

interface Held {
  session: EgressSession;
  readonly caPem: string;
  policy: EgressPolicy;
  namespace: string | null;
  open: number;
  bytesUp: number;
  bytesDown: number;
  seq: number;
}

/**
 * A boundary in this process, for tests of the engine: keeps the contract of `Boundary` over a map, without sockets. `store` outlives
 * it as the directory outlives the process: a new one over the same store is a boundary that was started again.
 */
export class MemoryBoundary implements Boundary {
  readonly store: Map<string, Held>;
  readonly journal: NetworkVerdict[];
  /** Calls in order, as `prepare sb...`. */
  readonly calls: string[] = [];
  /** Set: what the named calls throw. */
  readonly faults = new Map<keyof Boundary, SandboxerError>();
  /** Called before each, so that tests can look at the ledger at that moment. */
  before: (call: string, id: string) => Promise<void> | void = () => {};

  constructor(store: Map<string, Held> = new Map(), journal: NetworkVerdict[] = []) {
    this.store = store;
    this.journal = journal;
  }

  async #enter(call: keyof Boundary, id = ""): Promise<void> {
    this.calls.push(`${call} ${id}`.trim());
    await this.before(call, id);
    const fault = this.faults.get(call);
    if (fault !== undefined) throw fault;
  }

  #held(id: string): Held {
    const held = this.store.get(id);
    if (held === undefined) throw new SandboxerError("sandbox_not_found", `the boundary has no session ${id}`);
    return held;
  }

  async prepare(session: EgressSession): Promise<{ caPem: string }> {
    await this.#enter("prepare", session.id);
    const known = this.store.get(session.id);
    if (known?.session.generation === session.generation) return { caPem: known.caPem };
    const caPem = `CA of ${session.id} generation ${session.generation}`;
    this.store.set(session.id, {
      session,
      caPem,
      policy: session.policy,
      namespace: null,
      open: 0,
      bytesUp: 0,
      bytesDown: 0,
      seq: known?.seq ?? 0,
    });
    return { caPem };
  }

  async attach(id: string, namespace: string): Promise<void> {
    await this.#enter("attach", id);
    this.#held(id).namespace = namespace;
  }

  async review(id: string, policy: EgressPolicy): Promise<{ closed: number }> {
    await this.#enter("review", id);
    return { closed: policy.rules.length === 0 ? this.#held(id).open : 0 };
  }

  async protect(addresses: readonly string[]): Promise<void> {
    await this.#enter("protect", addresses.join(","));
  }

  async update(id: string, policy: EgressPolicy): Promise<{ closed: number }> {
    await this.#enter("update", id);
    const held = this.#held(id);
    held.policy = policy;
    const closed = policy.rules.length === 0 ? held.open : 0;
    held.open -= closed;
    return { closed };
  }

  async secrets(id: string, secrets: readonly BoundSecret[]): Promise<void> {
    await this.#enter("secrets", id);
    const held = this.#held(id);
    held.session = { ...held.session, secrets };
  }

  async remove(id: string): Promise<void> {
    await this.#enter("remove", id);
    this.store.delete(id);
  }

  async sessions(): Promise<{ id: string; generation: number; attached: boolean }[]> {
    await this.#enter("sessions");
    return [...this.store.values()].map(({ session, namespace }) => ({
      id: session.id,
      generation: session.generation,
      attached: namespace !== null,
    }));
  }

  async traffic(id: string): Promise<{ bytesUp: number; bytesDown: number; open: number } | undefined> {
    await this.#enter("traffic", id);
    return this.store.get(id);
  }

  async verdicts(cursor: string | null, limit: number): Promise<{ entries: readonly NetworkVerdict[]; cursor: string }> {
    await this.#enter("verdicts");
    const from = Number(cursor ?? 0);
    const entries = this.journal.slice(from, from + limit);
    return { entries, cursor: String(from + entries.length) };
  }

  async close(): Promise<void> {
    await this.#enter("close");
  }

  /** A process that died with everything in its memory: nothing is attached any more. */
  detachAll(): void {
    for (const held of this.store.values()) held.namespace = null;
  }

  /** Writes an entry as if something inside had tried. */
  decide(id: string, entry: Partial<NetworkVerdict>): NetworkVerdict {
    const held = this.#held(id);
    const full: NetworkVerdict = {
      seq: ++held.seq, at: new Date().toISOString(), sandbox_id: id, protocol: "tls", via: "transparent", host: "example.com", port: 443, address: null,
      method: null, path: null, verdict: "deny", rule: null, reason: "no_rule", detail: "no rule allows it", secret: null, bytes_up: 0, bytes_down: 0, ms: 1, ...entry,
    }; // prettier-ignore
    this.journal.push(full);
    return full;
  }
}
