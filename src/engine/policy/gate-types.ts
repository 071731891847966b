import type { PolicyAction } from "../../contract/index.ts";
import type { Context } from "../context.ts";

/** What a verb asks before it begins. */
interface Asks<Args extends unknown[]> {
  readonly actions: readonly PolicyAction[];
  /** Whether the verb itself is a stream. */
  readonly streams?: boolean;
  ask(ctx: Context, ...args: Args): Promise<void>;
}

/** A verb that asks nobody here, and why that is no hole. */
interface Excused {
  readonly excused: string;
  /** What it asks further in. */
  readonly actions?: readonly PolicyAction[];
}

export type Gate<Args extends unknown[]> = Asks<Args> | Excused;

/** A gate for every verb: one that is missing does not compile. */
export type Gates<Verbs> = {
  readonly [Name in keyof Verbs]: Verbs[Name] extends (...args: infer Args) => unknown ? Gate<Args> : Gates<Verbs[Name]>;
};
