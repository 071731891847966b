import type { Metered, Ref, SandboxSpec } from "../../contract/index.ts";

export interface Metering {
  /** Added to every figure, in percent of it; less than 0: taken off. */
  readonly error_percent: number;
  /** Epoch milliseconds; the wall clock unless a test gives its own. */
  readonly now?: () => number;
}

/** What a vendor's own metering would have counted, wrong by what a test asks for. It keeps what it has seen as long as it lives. */
export class FakeMeter {
  readonly #metering: Metering;
  readonly #stays = new Map<string, { spec: SandboxSpec; began: number; ended: number | null }>();

  constructor(metering: Metering) {
    this.#metering = metering;
  }

  #now(): number {
    return (this.#metering.now ?? Date.now)();
  }

  began(spec: SandboxSpec): void {
    const key = `${spec.id}/${spec.generation}`;
    if (!this.#stays.has(key)) this.#stays.set(key, { spec, began: this.#now(), ended: null });
  }

  ended({ id, generation }: Pick<Ref, "id" | "generation">): void {
    const stay = this.#stays.get(`${id}/${generation}`);
    if (stay !== undefined) stay.ended ??= this.#now();
  }

  /** null: unknown, or not over. */
  read({ id, generation }: Pick<Ref, "id" | "generation">): Metered | null {
    const stay = this.#stays.get(`${id}/${generation}`);
    if (stay === undefined || stay.ended === null) return null;
    const seconds = ((stay.ended - stay.began) / 1000) * (1 + this.#metering.error_percent / 100);
    return {
      vcpu_seconds: Math.ceil(stay.spec.resources.cpu * seconds),
      mem_mib_seconds: Math.ceil((stay.spec.resources.memoryBytes / 1024 ** 2) * seconds),
    };
  }
}
