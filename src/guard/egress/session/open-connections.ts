import type { Socket } from "node:net";
import { EgressRefusal } from "../inspect/types.ts";

/** Something open that the policy had to allow. */
interface Held {
  /** Why it is no longer allowed; null where it still is. */
  readonly fault: () => string | null;
  readonly close: (refusal: EgressRefusal) => void;
}

/** What one sandbox has open: connections from inside, what was let through on them, and the sockets to outside. */
export class OpenConnections {
  readonly #clients = new Set<Socket>();
  readonly #held = new Set<Held>();

  get count(): number {
    return this.#clients.size;
  }

  /** A connection from inside, until it is closed. */
  add(socket: Socket): void {
    this.#clients.add(socket);
    socket.once("close", () => this.#clients.delete(socket));
  }

  /** Returns what ends the holding. */
  hold(held: Held): () => void {
    this.#held.add(held);
    return () => this.#held.delete(held);
  }

  /** Closes what is no longer allowed; answers how many that were. */
  review(): number {
    let closed = 0;
    for (const held of this.#held) {
      const fault = held.fault();
      if (fault === null || !this.#held.delete(held)) continue;
      held.close(new EgressRefusal("policy_changed", fault));
      closed += 1;
    }
    return closed;
  }

  /** How many are no longer allowed. */
  faults(): number {
    return [...this.#held].filter(({ fault }) => fault() !== null).length;
  }

  /** Closes all. */
  end(why: string): void {
    for (const { close } of this.#held) close(new EgressRefusal("policy_changed", why));
    this.#held.clear();
    for (const socket of this.#clients) socket.resetAndDestroy();
  }

  setIdle(idleMs: number): void {
    for (const socket of this.#clients) socket.setTimeout(idleMs);
  }
}
