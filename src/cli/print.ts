import { once } from "node:events";
import { paint, plain } from "./style.ts";

/** Writes at the pace of the reader: the sandbox feels a slow pipe. */
export async function write(stream: NodeJS.WriteStream, data: Uint8Array | string): Promise<void> {
  if (!stream.write(data)) await once(stream, "drain");
}

export async function line(text: string): Promise<void> {
  await write(process.stdout, `${text}\n`);
}

/** One document, indented for people's eyes on a terminal, on one line for programs. */
export async function json(value: unknown): Promise<void> {
  await line(process.stdout.isTTY ? JSON.stringify(value, null, 2) : JSON.stringify(value));
}

/** Remarks beside the output. */
export function note(text: string): void {
  process.stderr.write(`${paint(process.stderr, "dim", `sand-boxer: ${plain(text)}`)}\n`);
}

/** Columns aligned, with a heading. Cells are shown without their control characters. */
export async function table(headings: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  const cells = rows.map((row) => row.map(plain));
  const widths = headings.map((heading, i) => Math.max(heading.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const render = (row: readonly string[]) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join("  ");
  const lines = [paint(process.stdout, "dim", render(headings)), ...cells.map(render)];
  await line(lines.join("\n"));
}

/** `name  value` lines. Values that are null are left out. */
export async function fields(values: readonly (readonly [name: string, value: string | number | null | undefined])[]): Promise<void> {
  const shown = values.filter(([, value]) => value !== null && value !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  await line(shown.map(([name, value]) => `${paint(process.stdout, "dim", name.padEnd(width))}  ${plain(String(value))}`).join("\n"));
}

/** "3m ago", "in 12s". */
export function relative(timestamp: string, format: (seconds: number) => string): string {
  const seconds = (Date.parse(timestamp) - Date.now()) / 1000;
  return seconds < 0 ? `${format(-seconds)} ago` : `in ${format(seconds)}`;
}
