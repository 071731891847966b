import type { E2bContext } from "../context.ts";
import { Turns } from "./turns.ts";

/** The values of the keys that were used last; others are forgotten, and found out again. */
export class Recent<T> {
  readonly #values = new Map<string, T>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): T | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: T): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    const oldest = this.#values.keys().next();
    if (this.#values.size > this.#most && oldest.done === false) this.#values.delete(oldest.value);
  }
}

/** What the data plane of one door remembers between requests. Losing it costs time. */
export class DataState {
  /** Shared by all streams of output. */
  readonly turns = new Turns();
  /** Homes by sandbox: they never change. */
  readonly homes = new Recent<string>(10_000);
  /** Ids of processes by sandbox and number: they never change either. */
  readonly processIds = new Recent<string>(50_000);
}

const states = new WeakMap<E2bContext, DataState>();

export function stateOf(ctx: E2bContext): DataState {
  const known = states.get(ctx);
  if (known !== undefined) return known;
  const state = new DataState();
  states.set(ctx, state);
  return state;
}
