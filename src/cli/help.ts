import { CATALOG } from "./catalog.ts";
import { COMMON_OPTIONS, type Command, type Option } from "./command.ts";

const WIDTH = 100;

/** The help text of the whole program. */
export function generalHelp(): string {
  const rows = Object.entries(CATALOG).map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}`);
  return `sand-boxer: a hardened sandbox for an AI agent, on this machine or at any backend.

Usage: sand-boxer COMMAND [OPTIONS]

Commands:
${rows.join("\n")}

Every command takes --json and --help. Begin with:
  sand-boxer doctor                  what this host can enforce
  sand-boxer run -- echo hello       one command in a new sandbox

Commands talk to SANDBOXER_URL (with SANDBOXER_API_KEY) where it is set, else to the server of the
data directory (SANDBOXER_DATA) where one runs, else they do the work in their own process.
Exit codes: the command's own for run and exec; 125 for a failure of sand-boxer's own.
`;
}

/** The help text of one command. */
export function commandHelp(name: string, { usage, about, options, examples }: Command): string {
  const parts = [
    `Usage: ${usage
      .split(" | ")
      .map((one) => `sand-boxer ${one}`)
      .join("\n       ")}`,
    wrap(about.replaceAll("\n", " "), 0, false),
    `Options:\n${optionRows({ ...options, ...COMMON_OPTIONS })}`,
  ];
  if (examples.length > 0)
    parts.push(
      `Examples:\n${examples.map(([text, what]) => `  # ${what}\n  ${text.includes("sand-boxer ") && !text.startsWith(name) ? text : `sand-boxer ${text}`}`).join("\n")}`,
    );
  return `${parts.join("\n\n")}\n`;
}

function optionRows(options: Readonly<Record<string, Option>>): string {
  const rows = Object.entries(options).map(
    ([name, { short, value, about }]) =>
      [`  ${short === undefined ? "    " : `-${short}, `}--${name}${value === undefined ? "" : ` ${value}`}`, about] as const,
  );
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)) + 2);
  return rows
    .map(([left, about]) =>
      left.length + 2 > width ? `${left}\n${wrap(about, width, true)}` : left.padEnd(width) + wrap(about, width, false),
    )
    .join("\n");
}

function wrap(text: string, indent: number, first: boolean): string {
  const lines: string[] = [];
  let current = "";
  for (const word of text.split(" ")) {
    if (current !== "" && indent + current.length + 1 + word.length > WIDTH) {
      lines.push(current);
      current = word;
    } else current = current === "" ? word : `${current} ${word}`;
  }
  lines.push(current);
  const margin = " ".repeat(indent);
  return lines.map((one, i) => (i === 0 && !first ? one : margin + one)).join("\n");
}
