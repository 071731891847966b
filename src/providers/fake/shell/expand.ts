import { pathFromBytes } from "../../../contract/index.ts";
import { Channel, orAborted } from "../channel.ts";
import type { Shell } from "./shell.ts";
import type { Part, Word } from "./syntax.ts";

/** A word as its fields: unquoted variables and substitutions are split at blanks. */
export async function expand(shell: Shell, word: Word): Promise<string[]> {
  const fields: string[] = [];
  let current: string | undefined;
  for (const part of word) {
    if (part.kind === "variable" && part.name === "@" && part.quoted) {
      const [first, ...rest] = shell.args.slice(1);
      if (first !== undefined) current = (current ?? "") + first;
      for (const argument of rest) {
        fields.push(current ?? "");
        current = argument;
      }
      continue;
    }
    const value = await valueOf(shell, part);
    if (part.kind === "text" || part.quoted) {
      current = (current ?? "") + value;
      continue;
    }
    const pieces = value.split(/[ \t\n]+/);
    for (const [index, piece] of pieces.entries()) {
      if (index > 0 && current !== undefined) {
        fields.push(current);
        current = undefined;
      }
      if (piece !== "") current = (current ?? "") + piece;
    }
  }
  if (current !== undefined) fields.push(current);
  return fields;
}

/** A word as one text, without splitting: in assignments and redirections. */
export async function expandOne(shell: Shell, word: Word): Promise<string> {
  let text = "";
  for (const part of word) text += await valueOf(shell, part);
  return text;
}

async function valueOf(shell: Shell, part: Part): Promise<string> {
  if (part.kind === "text") return part.text;
  if (part.kind === "substitution") return await substitute(shell, part.source);
  const value = variable(shell, part.name);
  return value === "" && part.fallback !== undefined ? part.fallback : value;
}

function variable(shell: Shell, name: string): string {
  switch (name) {
    case "?":
      return String(shell.status);
    case "$":
      return String(shell.task.pid);
    case "!":
      return shell.lastJob === undefined ? "" : String(shell.lastJob);
    case "#":
      return String(Math.max(0, shell.args.length - 1));
    case "@":
    case "*":
      return shell.args.slice(1).join(" ");
    default:
      if (/^\d+$/.test(name)) return shell.args[Number(name)] ?? "";
      return shell.variables.get(name) ?? shell.env.get(name) ?? "";
  }
}

async function substitute(shell: Shell, source: string): Promise<string> {
  const channel = new Channel();
  const { done } = shell.interpreter.spawn(shell, { ...shell.streams, stdout: channel }, (child) =>
    child.interpreter.runSource(child, source),
  );
  void done.then(() => channel.end());
  const chunks: Uint8Array[] = [];
  for (let chunk = await channel.read(shell.task.signal); chunk !== null; chunk = await channel.read(shell.task.signal)) chunks.push(chunk);
  shell.status = await orAborted(done, shell.task.signal);
  return pathFromBytes(Buffer.concat(chunks)).replace(/\n+$/, "");
}
