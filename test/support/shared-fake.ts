import { z } from "zod";
import {
  type Created,
  defineProvider,
  type ExecEvent,
  type Listed,
  type Observed,
  type Op,
  type Traits,
} from "../../src/contract/index.ts";

/**
 * A backend elsewhere, as control planes of several hosts have it: what it is asked goes over HTTP to the fake world of
 * another process (see `shared-world.ts`).
 */
const plain = (op: Op) => ({ signal: op.signal });

export default defineProvider({
  name: "shared-fake",
  options: z.strictObject({ url: z.string() }),
  async open({ url }, { instance }) {
    const ask = async <T>(verb: string, body: unknown, op?: Op): Promise<T> => {
      const answer = await fetch(`${url}/${verb}`, {
        method: "POST",
        body: JSON.stringify({ instance, ...(body as object) }),
        ...(op === undefined ? {} : plain(op)),
      });
      if (!answer.ok) throw new Error(await answer.text());
      return (await answer.json()) as T;
    };
    return {
      traits: await ask<Traits>("traits", {}),
      create: (spec, op) => ask<Created>("create", { spec }, op),
      async *exec(ref, command, _options, op) {
        const events = await ask<(ExecEvent & { base64?: string })[]>("exec", { ref, command }, op);
        for (const { base64, ...event } of events)
          yield (base64 === undefined ? event : { ...event, data: Buffer.from(base64, "base64") }) as ExecEvent;
      },
      destroy: (ref, op) => ask<"destroyed" | "absent">("destroy", { ref }, op),
      async *list(op) {
        yield* await ask<Listed[]>("list", {}, op);
      },
      inspect: (ref, op) => ask<Observed | "absent">("inspect", { ref }, op),
    };
  },
});
