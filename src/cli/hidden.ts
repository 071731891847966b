import { SandboxerError } from "../contract/errors.ts";
import { usageError } from "./failure.ts";

/** Longer than any value, with its line end. What is more is not read to its end. */
const MAX_BYTES = 256 * 1024;

/** All of our standard input: what is piped in, or one line typed at a terminal that does not show it. */
export async function hiddenInput(command: string, prompt: string): Promise<string> {
  if (process.stdin.isTTY) return typed(prompt);
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    if ((bytes += piece.byteLength) > MAX_BYTES) throw usageError(command, "standard input is too long for a secret");
  }
  return Buffer.concat(pieces)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}

/** A line without echo. The prompt goes to standard error; Ctrl-C and Ctrl-D leave, Backspace takes one back, Ctrl-U all. */
async function typed(prompt: string): Promise<string> {
  const { stdin } = process;
  stdin.setRawMode(true);
  process.stderr.write(prompt);
  try {
    let line = "";
    const decoder = new TextDecoder();
    for await (const piece of stdin.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      const keys = Array.from(decoder.decode(piece, { stream: true }));
      for (const [index, key] of keys.entries()) {
        if (key === "\r" || key === "\n") {
          // What is left of a paste would go to the shell, as a command.
          if (keys.slice(index).join("").trim() !== "")
            throw new SandboxerError("invalid_request", "more than one line was pasted; a value has one");
          return line;
        }
        if (key === "\u0003" || key === "\u0004")
          throw new SandboxerError("canceled", "nothing was stored", { hint: "Type the value and press Enter." });
        if (key === "\u007f" || key === "\b") line = Array.from(line).slice(0, -1).join("");
        else if (key === "\u0015") line = "";
        else line += key;
      }
    }
    throw new SandboxerError("canceled", "the terminal was closed");
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    process.stderr.write("\n");
  }
}

/** Asks at a terminal; where there is none, says which option answers instead. */
export async function confirm(command: string, question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw usageError(command, `${question} There is nobody to ask here: say so with --yes`);
  const { createInterface } = await import("node:readline/promises");
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
