import type { Context } from "../context.ts";
import type { Engine } from "../engine.ts";
import { GATES } from "./gates.ts";
import type { Gate } from "./gate-types.ts";

type Verb = (...args: unknown[]) => unknown;
type Verbs = { readonly [name: string]: Verb | Verbs };
type AnyGates = { readonly [name: string]: Gate<unknown[]> | AnyGates };

/** Asks before the verb begins. A verb that is a stream asks when its first item is. */
function gated(ctx: Context, gate: Gate<unknown[]>, verb: Verb): Verb {
  if ("excused" in gate) return verb;
  if (gate.streams === true)
    return async function* (...args: unknown[]) {
      await gate.ask(ctx, ...args);
      yield* verb(...args) as AsyncIterable<unknown>;
    };
  return async (...args: unknown[]) => {
    await gate.ask(ctx, ...args);
    return verb(...args);
  };
}

function walk(ctx: Context, gates: AnyGates, verbs: Verbs): Verbs {
  return Object.fromEntries(
    Object.entries(verbs).map(([name, verb]) => {
      const gate = gates[name];
      // The compiler has seen to it; a verb that slips past it is a fault of ours, and not an open door.
      if (gate === undefined) throw new TypeError(`the verb ${name} has no gate`);
      return [name, typeof verb === "function" ? gated(ctx, gate as Gate<unknown[]>, verb) : walk(ctx, gate as AnyGates, verb)];
    }),
  );
}

/** The engine behind its one door: every verb asks {@link GATES} first, whichever door it was called through. */
export function guarded(ctx: Context, engine: Engine): Engine {
  return walk(ctx, GATES, engine as unknown as Verbs) as unknown as Engine;
}
