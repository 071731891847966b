import { SandboxerError } from "../../../contract/index.ts";
import type { BoundSecret, EgressInside, EgressPolicy, EgressSession } from "../../../contract/network.ts";
import type { Netns } from "../../../netns/index.ts";
import type { Dialler } from "../dial/dialler.ts";
import { Names } from "../dns/names.ts";
import { type Doors, openDoors } from "../doors/doors.ts";
import { proveDenial } from "../doors/prove.ts";
import type { Authority, Inspection, Inspector } from "../inspect/types.ts";
import type { Journal } from "../journal/journal.ts";
import { type Counters, Session } from "./session.ts";
import type { SessionStore, Stored } from "./store.ts";

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly journal: Journal;
  readonly dialler: Dialler;
  readonly netns: Netns;
  readonly inspector: Inspector;
  readonly makeAuthority: () => Authority;
  /** What went wrong and nobody waits for. Names no secret. */
  readonly log: (message: string, thrown?: unknown) => void;
}

interface Live {
  stored: Stored;
  written: Counters;
  readonly session: Session;
  readonly inspection: Inspection;
  doors: Doors | null;
}

/** After a create, until the CA of the next is made: it would be in the way of this one's doors and proofs. Milliseconds. */
const AHEAD_MS = 50;

/** All sandboxes that the boundary knows. What changes one is done one after the other. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #live = new Map<string, Live>();
  readonly #turns = new Map<string, Promise<unknown>>();
  #spare: Authority | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#live.size;
  }

  /** Takes up what a process before this one left, and listens again where that did. */
  async restore(): Promise<void> {
    const { store, journal, log } = this.#options;
    const seqs = journal.lastSeqs();
    const attaching = store.ids().map(async (id) => {
      try {
        const stored = store.read(id);
        const counters = store.counters(id);
        const live = this.#begin(stored, { ...counters, seq: Math.max(counters.seq, seqs.get(id) ?? 0) });
        if (stored.namespace !== null) await this.#attach(live, stored.namespace);
      } catch (thrown) {
        log(`${id}: its egress stays closed`, thrown);
      }
    });
    await Promise.all(attaching);
  }

  prepare(session: EgressSession): Promise<EgressInside> {
    return this.#inTurn(session.id, async () => {
      const known = this.#live.get(session.id);
      if (known !== undefined && known.stored.session.generation > session.generation) {
        throw new SandboxerError(
          "conflict",
          `the boundary knows generation ${known.stored.session.generation} of ${session.id}, which is newer`,
        );
      }
      if (known?.stored.session.generation === session.generation) return { caPem: known.stored.authority.certPem };
      if (known !== undefined) this.#end(known);
      const stored = { session, authority: this.#takeAuthority(), namespace: null };
      this.#options.store.write(stored);
      const counters = this.#options.store.counters(session.id);
      this.#begin(stored, counters);
      return { caPem: stored.authority.certPem };
    });
  }

  attach(id: string, namespace: string): Promise<void> {
    return this.#inTurn(id, async () => {
      const live = this.#known(id);
      if (live.doors !== null && live.stored.namespace === namespace)
        return proveDenial(live.session, live.doors, this.#options.netns, namespace);
      this.#detach(live);
      await this.#attach(live, namespace);
      this.#store(live, { ...live.stored, namespace });
    });
  }

  update(id: string, policy: EgressPolicy): Promise<{ closed: number }> {
    return this.#inTurn(id, async () => {
      const live = this.#known(id);
      this.#store(live, { ...live.stored, session: { ...live.stored.session, policy } });
      return { closed: live.session.setPolicy(policy) };
    });
  }

  /** How many connections the policy would close. */
  async review(id: string, policy: EgressPolicy): Promise<{ closed: number }> {
    return { closed: this.#known(id).session.wouldClose(policy) };
  }

  secrets(id: string, secrets: readonly BoundSecret[]): Promise<void> {
    return this.#inTurn(id, async () => {
      const live = this.#known(id);
      this.#store(live, { ...live.stored, session: { ...live.stored.session, secrets } });
      live.session.setSecrets(secrets);
    });
  }

  remove(id: string): Promise<void> {
    return this.#inTurn(id, async () => {
      const live = this.#live.get(id);
      if (live !== undefined) this.#end(live);
      this.#options.store.remove(id);
    });
  }

  list(): { id: string; generation: number; attached: boolean }[] {
    return [...this.#live].map(([id, { stored, doors }]) => ({ id, generation: stored.session.generation, attached: doors !== null }));
  }

  traffic(id: string): { bytesUp: number; bytesDown: number; open: number } | undefined {
    const session = this.#live.get(id)?.session;
    return session === undefined ? undefined : { bytesUp: session.counters.up, bytesDown: session.counters.down, open: session.open.count };
  }

  /** Writes down what has been counted since the last time. */
  checkpoint(): void {
    for (const [id, live] of this.#live) {
      const { counters } = live.session;
      if (counters.seq === live.written.seq && counters.up === live.written.up && counters.down === live.written.down) continue;
      this.#options.store.writeCounters(id, counters);
      live.written = counters;
    }
  }

  /** Stops listening and closes what is open; on disk all stays. */
  close(): void {
    this.checkpoint();
    for (const live of this.#live.values()) this.#end(live);
  }

  /** One that was made ahead, so that no create waits the 3 ms that it takes; the next is made when nothing else is to be done. */
  #takeAuthority(): Authority {
    const { makeAuthority } = this.#options;
    const taken = this.#spare ?? makeAuthority();
    this.#spare = undefined;
    setTimeout(() => {
      this.#spare ??= makeAuthority();
    }, AHEAD_MS).unref();
    return taken;
  }

  #begin(stored: Stored, counters: Counters): Live {
    const { dialler, journal, store, inspector } = this.#options;
    const names = new Names(store.namesPath(stored.session.id));
    const onHalt = (): void => store.writeCounters(session.id, session.counters);
    const session: Session = new Session(stored.session, { dialler, names, counters, journal, onHalt });
    const live = { stored, written: counters, session, inspection: inspector.open(session, stored.authority), doors: null };
    this.#live.set(stored.session.id, live);
    return live;
  }

  async #attach(live: Live, namespace: string): Promise<void> {
    const { netns, log } = this.#options;
    const { session, inspection } = live;
    const doors = await openDoors({
      session,
      inspection,
      netns,
      namespace,
      onFault: (thrown) => log(`${session.id}: a connection failed`, thrown),
    });
    try {
      await proveDenial(session, doors, netns, namespace);
    } catch (thrown) {
      doors.close();
      session.open.end("egress is not held");
      throw thrown;
    }
    live.doors = doors;
  }

  #detach(live: Live): void {
    live.doors?.close();
    live.doors = null;
    live.session.open.end("the sandbox is detached");
  }

  #end(live: Live): void {
    this.#detach(live);
    live.inspection.close();
    this.#live.delete(live.session.id);
  }

  #store(live: Live, stored: Stored): void {
    this.#options.store.write(stored);
    live.stored = stored;
  }

  #known(id: string): Live {
    const live = this.#live.get(id);
    if (live === undefined) throw new SandboxerError("sandbox_not_found", `the boundary does not know ${id}`, { phase: "network" });
    return live;
  }

  #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).then(work, work);
    this.#turns.set(id, turn);
    const forget = (): void => {
      if (this.#turns.get(id) === turn) this.#turns.delete(id);
    };
    turn.then(forget, forget);
    return turn;
  }
}
