import type { Figure } from "./figures.ts";
import type { Machine } from "./machine.ts";
import { ratio, type Row, type Target, verdict } from "./row.ts";

/** Everything that a run found; `latest.json` is this. */
export interface Results {
  readonly taken_at: string;
  readonly quick: boolean;
  readonly seconds: number;
  readonly machine: Machine;
  readonly load: { readonly before: number; readonly after: number };
  readonly workers: number;
  /** Cases that could not be measured, and why. */
  readonly not_measured: readonly { readonly case: string; readonly why: string }[];
  readonly rows: readonly Row[];
}

export function toJson(results: Results): string {
  const rows = results.rows.map((row) => ({ ...row, ratio: ratio(row) ?? null, verdict: verdict(row) }));
  return `${JSON.stringify({ ...results, rows }, rounded, 2)}\n`;
}

function rounded(_: string, value: unknown): unknown {
  return typeof value === "number" ? Math.round(value * 1000) / 1000 : value;
}

/** A number with as many digits as it is worth. */
export function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function targetWords({ direction, bound, of }: Target): string {
  return `${direction === "at_most" ? "≤" : "≥"} ${bound} ${of}`;
}

function cell(figure: Figure, unit: string): string {
  const tail = figure.samples > 1 ? ` (p95 ${short(figure.p95)})` : "";
  return `${short(figure.median)} ${unit}${tail}`;
}

function line(row: Row): string {
  const of = ratio(row);
  const cells = [
    row.what + (row.note === undefined ? "" : `<br><sub>${row.note}</sub>`),
    cell(row.ours, row.unit),
    row.peer === undefined ? "" : `${cell(row.peer.figure, row.unit)}${row.peer.name === "raw" ? "" : ` ${row.peer.name}`}`,
    of === undefined ? "" : `${short(of)} x`,
    row.target === undefined ? "" : targetWords(row.target),
    row.target === undefined ? "" : `${verdict(row)}: ${short(row.target.value)}`,
    String(row.ours.samples),
  ];
  return `| ${cells.join(" | ")} |`;
}

export function toMarkdown(results: Results): string {
  const { machine, load, rows } = results;
  const runtimes = Object.entries(machine.runtimes).map(([name, version]) => `${name} ${version}`).join(", "); // prettier-ignore
  return `# Benchmark results

Taken ${results.taken_at} in ${Math.round(results.seconds)} s${results.quick ? ", in a quick run with few samples" : ""} by \`npm run bench\`: over HTTP on
loopback with a key and keep-alive, against a warm server in a process of its own. *Raw* is the same runtime called by
hand from Node in the same run, the two in turn (ABBA): the provider's own bundle, hardening and process, prepared before
the clock starts. Figures are medians, with the 95th percentile.

| What | Ours | Raw or peer | Ours / peer | Target | Verdict | Samples |
|---|---|---|---|---|---|---|
${rows.map(line).join("\n")}

${results.not_measured.map((gap) => `Not measured: ${gap.case}: ${gap.why}.\n`).join("")}
![Measured over target](latest.svg)

Machine: ${machine.cores} cores (${machine.cpu}), ${machine.memory_gib} GiB of memory, ${machine.system}, kernel ${machine.kernel}, Node ${machine.node}, ${runtimes};
control groups ${machine.cgroups}, favordynmods ${machine.favordynmods ? "on" : "off"}. Load average ${load.before} before, ${load.after} after.
`;
}
