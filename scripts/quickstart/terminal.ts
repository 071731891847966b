/** What the quickstart prints: plain lines that read as well in a log as on a terminal. */
import { styleText } from "node:util";
import { interrupt } from "./interrupt.ts";

type Color = "bold" | "dim" | "green" | "red" | "yellow";

const colored = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb";

export function paint(color: Color, text: string): string {
  return colored ? styleText(color, text, { validateStream: false }) : text;
}

export function line(text = ""): void {
  process.stdout.write(`${text}\n`);
}

let steps = 0;
const broken: string[] = [];

/** Begins a numbered step. Throws where Ctrl-C came before it. */
export function step(title: string): void {
  interrupt.throwIfAborted();
  line(`\n${paint("bold", `${++steps}  ${title}`)}`);
}

export function note(text: string): void {
  line(`   ${text}`);
}

/** States something that must be so; what is not makes the whole run fail. */
export function promise(holds: boolean, text: string): void {
  if (!holds) broken.push(text);
  line(`   ${holds ? paint("green", "✓") : paint("red", "✗ not so:")} ${text}`);
}

/** The promises that did not hold. */
export function brokenPromises(): readonly string[] {
  return broken;
}

/** Rows as columns, the first one dim. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const [index, row] of rows.entries()) {
    const text = row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  ");
    note(index === 0 ? paint("dim", text) : text);
  }
}

/** Time since a reading of `performance.now()`; since the start of the process for 0. */
export function duration(since: number): string {
  const passed = performance.now() - since;
  return passed < 1000 ? `${passed.toFixed(0)} ms` : `${(passed / 1000).toFixed(1)} s`;
}
