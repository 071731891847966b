import { onTestFinished } from "vitest";
import type { Config } from "../../../src/contract/index.ts";
import { openSealer } from "../../../src/guard/index.ts";
import { appendEvent } from "../../../src/ledger/index.ts";
import { type Bench, openBench, openBenchIn } from "../bench.ts";

/** An engine that stays, with its courier; time goes by hand. Closed when the test ends. */
export async function stage({ config = {}, directory }: { config?: Config; directory?: string } = {}): Promise<Bench> {
  let bench: Bench | undefined;
  const sealer = () => openSealer(bench?.directory ?? directory ?? "", {});
  const options = { config: { sweep_interval: 3600, ...config }, engine: { background: true, sealer } };
  bench = directory === undefined ? await openBench(options) : await openBenchIn(directory, options);
  const opened = bench;
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

/** Writes events as a verb would: one transaction each. Answers their numbers. */
export async function write(
  bench: Bench,
  count: number,
  { tenant = "default", sandboxId = null as string | null } = {},
): Promise<number[]> {
  const seqs: number[] = [];
  for (let i = 0; i < count; i++) {
    await bench.ledger.transaction((tx) =>
      appendEvent(tx, { type: "sandbox.renewed", at: bench.clock.now(), tenant, sandboxId, data: { i } }),
    );
    const { data } = await bench.engine.events.list(
      { tenant: "default", key_id: null, scopes: ["admin"] },
      { after: seqs.at(-1) ?? 0, limit: 1000 },
    );
    seqs.push(data.at(-1)?.seq ?? 0);
  }
  return seqs;
}
