import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSandbox, listSandboxes, liveSandboxes, openLedger, retain } from "../../src/ledger/index.ts";
import { fillLedger } from "../million.ts";
import { figure, timed } from "../figures.ts";
import type { Row } from "../row.ts";
import type { Stage } from "../stage.ts";

const P99_MS = 15;
const START_S = 2;
const WRITER_MS = 50;
const LIVE = 200;

/** A ledger that has seen a million sandboxes: what is asked of it, and how long others wait while it forgets. */
export async function scale({ scale: { ledgerRows: sandboxes }, signal, say }: Stage): Promise<Row[]> {
  const [big, small] = [1, 2].map(() => mkdtempSync(join(tmpdir(), "sbx-scale-"))) as [string, string];
  try {
    for (const [directory, count] of [[big, sandboxes], [small, LIVE]] as const) {
      await openLedger(directory).close();
      fillLedger(join(directory, "ledger.db"), { sandboxes: count, live: LIVE, tenants: 10 });
    } // prettier-ignore
    say(`${sandboxes} sandboxes and ${sandboxes * 5} events written`);
    const words = `${sandboxes.toLocaleString("en")} finished`;
    const { ms: startMs, value: ledger } = await timed(async () => {
      const opened = openLedger(big);
      await liveSandboxes(opened.db, "fake", null);
      return opened;
    });
    const other = openLedger(small);
    const random = () => `sb01${String(Math.floor(Math.random() * sandboxes)).padStart(20, "0")}`;
    const tenant = () => `t${Math.floor(Math.random() * 10)}`;
    const asks: Record<string, () => Promise<unknown>> = {
      list: () => listSandboxes(ledger.db, { tenant: tenant(), limit: 51, before: random() }),
      "list by label": () => listSandboxes(ledger.db, { tenant: tenant(), limit: 51, metadata: { team: "x7" } }),
      show: () => findSandbox(ledger.db, random()),
      usage: () => ledger.db.selectFrom("usage").selectAll().where("sandbox_id", "=", random()).execute(),
    };
    const rows: Row[] = [];
    for (const [what, ask] of Object.entries(asks)) {
      const samples: number[] = [];
      for (let round = 0; round < 2000 && !signal.aborted; round++) samples.push((await timed(ask)).ms);
      const p99 = samples.toSorted((a, b) => a - b)[Math.floor(samples.length * 0.99)] ?? 0;
      rows.push({ case: "scale", what: `${what}, ${words}`, unit: "ms", ours: figure(samples), target: { value: p99, direction: "at_most", bound: P99_MS, of: "ms at p99" } }); // prettier-ignore
    }
    const sweeps: Record<"big" | "small", number[]> = { big: [], small: [] };
    for (let round = 0; round < 50; round++)
      for (const [name, one] of [["big", ledger], ["small", other]] as const) sweeps[name].push((await timed(() => liveSandboxes(one.db, "fake", null))).ms); // prettier-ignore
    const [ofBig, ofSmall] = [figure(sweeps.big), figure(sweeps.small)];
    rows.push({ case: "scale", what: `rows of a sweep, ${LIVE} live, ${words}`, unit: "ms", ours: ofBig, peer: { name: "none finished", figure: ofSmall }, target: { value: ofBig.median / ofSmall.median, direction: "at_most", bound: 1.5, of: "x none finished" } }); // prettier-ignore
    rows.push({ case: "scale", what: `open the ledger and read what lives, ${words}`, unit: "s", ours: figure([startMs / 1000]), target: { value: startMs / 1000, direction: "at_most", bound: START_S, of: "s" } }); // prettier-ignore

    const writer = openLedger(big);
    const forgetting = new AbortController();
    const cutoff = Date.now() - (sandboxes * 1000) / 2;
    const work = retain(ledger, { events: cutoff, sandboxes: cutoff, networkLog: 0 }, AbortSignal.any([signal, forgetting.signal])).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    const waits: number[] = [];
    for (const end = performance.now() + 15_000; performance.now() < end && !signal.aborted; await new Promise((resolve) => setTimeout(resolve, 5)))
      waits.push((await timed(() => writer.transaction((tx) => tx.updateTable("meta").set({ value: "x" }).where("key", "=", "none").execute()))).ms); // prettier-ignore
    forgetting.abort();
    const failure = await work;
    signal.throwIfAborted();
    if (failure !== undefined && !forgetting.signal.aborted) throw failure;
    const longest = waits.toSorted((a, b) => a - b)[Math.floor(waits.length * 0.99)] ?? 0;
    rows.push({ case: "scale", what: "a write while retention runs", unit: "ms", ours: figure(waits), target: { value: longest, direction: "at_most", bound: WRITER_MS, of: "ms at p99" } }); // prettier-ignore
    await Promise.all([ledger.close(), other.close(), writer.close()]);
    return rows;
  } finally {
    for (const directory of [big, small]) rmSync(directory, { recursive: true, force: true });
  }
}
