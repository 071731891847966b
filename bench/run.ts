/**
 * Measures sand-boxer beside the raw runtime in one run, and writes latest.json, latest.md and latest.svg.
 *
 *   node bench/run.ts [--quick] [--only CASE,...] [--out DIRECTORY]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load, machine } from "./machine.ts";
import { CASES, type Options, readOptions } from "./options.ts";
import { toSvg } from "./plot.ts";
import { type Results, toJson, toMarkdown } from "./report.ts";
import { NotMeasured, type Row } from "./row.ts";
import { FULL, QUICK } from "./stage.ts";

async function measure({ quick, cases }: Options, signal: AbortSignal): Promise<Results> {
  const began = performance.now();
  const scale = quick ? QUICK : FULL;
  const before = load();
  const rows: Row[] = [];
  const gaps: { case: string; why: string }[] = [];
  for (const name of cases) {
    say(`${name} ...`);
    try {
      const found = (await CASES[name]?.({ scale, signal, say: (text) => say(`  ${text}`) })) ?? [];
      if (found.length === 0) gaps.push({ case: name, why: "no engine here" });
      rows.push(...found);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      // One case that fails keeps the others' figures; the run still ends with a failure.
      if (!(thrown instanceof NotMeasured)) {
        process.exitCode = 1;
        say(`${name} failed: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
      }
      gaps.push({ case: name, why: thrown instanceof Error ? thrown.message : String(thrown) });
    }
  }
  return {
    taken_at: new Date().toISOString(),
    quick,
    seconds: (performance.now() - began) / 1000,
    machine: machine(),
    load: { before, after: load() },
    workers: scale.workers,
    not_measured: gaps,
    rows,
  };
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** One case alone does not stand for the whole: what `--only` leaves out stays away from the results' other rows. */
function write(out: string, results: Results): void {
  mkdirSync(out, { recursive: true });
  const { cores, kernel, runtimes } = results.machine;
  const caption = `${results.taken_at.slice(0, 10)}, ${cores} cores, kernel ${kernel}, crun ${runtimes["crun"] ?? "-"}, runc ${runtimes["runc"] ?? "-"}${results.quick ? ", quick run" : ""}`;
  writeFileSync(join(out, "latest.json"), toJson(results));
  writeFileSync(join(out, "latest.md"), toMarkdown(results));
  writeFileSync(join(out, "latest.svg"), toSvg(results.rows, caption));
}

const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.once(name, () => interrupted.abort(new Error(`${name}: stopped, and cleaned up`)));
const options = readOptions(process.argv.slice(2), join(import.meta.dirname, "results"));
const results = await measure(options, interrupted.signal);
write(options.out, results);
process.stdout.write(toMarkdown(results));
say(`written to ${options.out}`);
