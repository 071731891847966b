import { createHash } from "node:crypto";
import { pathFromBytes, pathToBytes } from "../../../contract/index.ts";
import type { Input } from "../channel.ts";
import { openInput, openOutput } from "../shell/redirect.ts";
import { complain, print, readAll } from "../shell/shell.ts";
import type { CommandFunction, Shell } from "../shell/shell.ts";
import { expandEscapes, format } from "./format.ts";

/** Commands that make and pass on bytes. */
export const TEXT_COMMANDS: Readonly<Record<string, CommandFunction>> = {
  async echo(shell, args) {
    const bare = args[0] === "-n";
    await print(shell, args.slice(bare ? 1 : 0).join(" ") + (bare ? "" : "\n"));
    return 0;
  },
  async printf(shell, [template = "", ...args]) {
    await print(shell, format(template, args));
    return 0;
  },
  async cat(shell, args) {
    for (const input of inputs(shell, args)) await copy(shell, input, Infinity);
    return 0;
  },
  async head(shell, args) {
    const { bytes, lines, files } = counts(args, 10);
    for (const input of inputs(shell, files)) {
      if (bytes === undefined)
        await print(shell, pathFromBytes(await drain(shell, input)).split(/(?<=\n)/).slice(0, lines).join("")); // prettier-ignore
      else await copy(shell, input, bytes);
    }
    return 0;
  },
  async tail(shell, args) {
    const { bytes, lines, files } = counts(args, 10);
    for (const input of inputs(shell, files)) {
      const all = await drain(shell, input);
      if (bytes !== undefined) await shell.streams.stdout.write(all.subarray(Math.max(0, all.length - bytes)), shell.task.signal);
      else await print(shell, lines === 0 ? "" : pathFromBytes(all).split(/(?<=\n)/).slice(-lines).join("")); // prettier-ignore
    }
    return 0;
  },
  async wc(shell, args) {
    const flag = args.find((argument) => argument.startsWith("-"));
    for (const input of inputs(
      shell,
      args.filter((argument) => argument !== flag),
    )) {
      const totals = await count(shell, input);
      await print(shell, flag === "-c" ? `${totals.bytes}\n` : flag === "-l" ? `${totals.lines}\n` : `${totals.lines} ${totals.bytes}\n`);
    }
    return 0;
  },
  async tee(shell, args) {
    const files = args
      .filter((argument) => argument !== "-a")
      .map((path) => openOutput(shell, path, args.includes("-a") ? "append" : "truncate"));
    for (
      let chunk = await shell.streams.stdin.read(shell.task.signal);
      chunk !== null;
      chunk = await shell.streams.stdin.read(shell.task.signal)
    ) {
      for (const output of [shell.streams.stdout, ...files]) await output.write(chunk, shell.task.signal);
    }
    return 0;
  },
  async seq(shell, args) {
    const [first, last] = args.length > 1 ? [Number(args[0]), Number(args[1])] : [1, Number(args[0])];
    if (!Number.isInteger(first) || !Number.isInteger(last)) return await complain(shell, "seq: needs whole numbers");
    for (let from = first; from <= last; from += 4096) {
      const lines = Array.from({ length: Math.min(4096, last - from + 1) }, (_, index) => from + index);
      await print(shell, `${lines.join("\n")}\n`);
    }
    return 0;
  },
  async yes(shell, args) {
    const block = pathToBytes(`${args.join(" ") || "y"}\n`.repeat(2048));
    for (;;) {
      await shell.streams.stdout.write(block, shell.task.signal);
      await new Promise(setImmediate);
    }
  },
  async sha256sum(shell, args) {
    for (const input of inputs(shell, args)) await print(shell, `${createHash("sha256").update(await drain(shell, input)).digest("hex")}  ${args[0] ?? "-"}\n`); // prettier-ignore
    return 0;
  },
  async tr(shell, [from = "", to = ""]) {
    const sets = [expandEscapes(from), expandEscapes(to)].map((set) => set.replace(/(.)-(.)/gs, (_, a: string, b: string) => range(a, b)));
    const text = pathFromBytes(await readAll(shell));
    const [set = "", other = ""] = from === "-d" ? [sets[1]] : sets;
    await print(shell, Array.from(text, (character) => (set.includes(character) ? from === "-d" ? "" : (other[set.indexOf(character)] ?? other.at(-1) ?? "") : character)).join("")); // prettier-ignore
    return 0;
  },
};

function range(a: string, b: string): string {
  let characters = "";
  for (let code = a.charCodeAt(0); code <= b.charCodeAt(0); code++) characters += String.fromCharCode(code);
  return characters;
}

function* inputs(shell: Shell, files: readonly string[]): Generator<Input> {
  if (files.length === 0) yield shell.streams.stdin;
  for (const path of files) yield path === "-" ? shell.streams.stdin : openInput(shell, path);
}

async function copy(shell: Shell, input: Input, limit: number): Promise<void> {
  for (let left = limit; left > 0;) {
    const chunk = await input.read(shell.task.signal);
    if (chunk === null) return;
    const wanted = chunk.subarray(0, left);
    input.unread(chunk.subarray(wanted.length));
    left -= wanted.length;
    await shell.streams.stdout.write(wanted, shell.task.signal);
  }
}

function drain(shell: Shell, input: Input): Promise<Uint8Array> {
  return readAll({ ...shell, streams: { ...shell.streams, stdin: input } });
}

async function count(shell: Shell, input: Input): Promise<{ bytes: number; lines: number }> {
  const totals = { bytes: 0, lines: 0 };
  for (let chunk = await input.read(shell.task.signal); chunk !== null; chunk = await input.read(shell.task.signal)) {
    totals.bytes += chunk.length;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) totals.lines++;
  }
  return totals;
}

function counts(args: readonly string[], lines: number): { bytes: number | undefined; lines: number; files: string[] } {
  const result: { bytes: number | undefined; lines: number; files: string[] } = { bytes: undefined, lines, files: [] };
  for (let i = 0; i < args.length; i++) {
    const match = /^-([cn])(\d*)$/.exec(args[i] ?? "");
    if (match === null) {
      result.files.push(args[i] ?? "");
      continue;
    }
    const value = Number(match[2] === "" ? args[++i] : match[2]);
    if (match[1] === "c") result.bytes = value;
    else result.lines = value;
  }
  return result;
}
