import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Provider } from "../../../../src/contract/index.ts";
import { sandbox, specOf } from "../inside.ts";
import { op, Scratch } from "../scratch.ts";
import { TEST_CA } from "./ca.ts";
import { egressRuntimes } from "./runtimes.ts";

const ROUNDS = 12;

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

describe.each((await egressRuntimes()).filter((name) => name !== "runc"))("what egress costs a create, by %s", (runtime) => {
  const scratch = new Scratch();
  let provider: Provider;
  beforeAll(async () => {
    provider = await scratch.open({ runtimes: [runtime], pool: 4 });
    // One of each kind, so that the pools know what is in use.
    for (const changes of [{}, { egress: { caPem: TEST_CA } }]) await sandbox(provider, changes);
  });
  afterAll(() => scratch.remove());

  test("each takes a prepared namespace; the medians are printed", async () => {
    const took: Record<"with" | "without", number[]> = { with: [], without: [] };
    const ready = (): string[] => readdirSync(scratch.path("network", "namespaces", "ready"));
    for (let round = 0; round < ROUNDS; round++) {
      await provider.maintain?.(op());
      for (const [kind, changes] of [["without", {}], ["with", { egress: { caPem: TEST_CA } }]] as const) {
        const prepared = ready();
        const spec = specOf(changes);
        const began = performance.now();
        const { ref } = await provider.create(spec, op());
        took[kind].push(performance.now() - began);
        const path = kind === "with" ? await provider.network?.namespace(ref, op()) : undefined;
        if (path !== undefined) expect(prepared).toContain(path.slice(path.lastIndexOf("/") + 1));
        await provider.destroy(ref, op());
      } // prettier-ignore
    }
    const [less, more] = [median(took.without), median(took.with)];
    console.log(
      `create with ${runtime}: ${less.toFixed(1)} ms without egress, ${more.toFixed(1)} ms with (${(more - less).toFixed(1)} more)`,
    );
    expect([took.with.length, took.without.length]).toEqual([ROUNDS, ROUNDS]);
  });
});
