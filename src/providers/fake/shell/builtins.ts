import { orAborted } from "../channel.ts";
import { COMMANDS } from "../commands/index.ts";
import { TreeError } from "../tree-node.ts";
import { ExitShell, actorOf, complain, print, readLine } from "./shell.ts";
import type { CommandFunction, Shell } from "./shell.ts";

/** What changes the shell itself, so it cannot be a command of its own. */
export const BUILTINS: Readonly<Record<string, CommandFunction>> = {
  ":": () => 0,
  async cd(shell, [to]) {
    const path = to ?? shell.env.get("HOME") ?? "/";
    try {
      const found = shell.sandbox.tree.lookup(path, actorOf(shell));
      if (found.node.kind !== "directory") throw new TreeError("ENOTDIR", path);
      shell.cwd = found.path;
      shell.env.set("PWD", found.path);
      return 0;
    } catch (problem) {
      if (!(problem instanceof TreeError)) throw problem;
      return await complain(shell, `sh: cd: ${path}: ${problem.message}`, 2);
    }
  },
  exit(shell, [status]) {
    throw new ExitShell(status === undefined ? shell.status : Number(status) & 255);
  },
  async exec(shell, args) {
    throw new ExitShell(await shell.interpreter.runArgv(shell, args));
  },
  async export(shell, args) {
    for (const argument of args) {
      const [name = "", ...value] = argument.split("=");
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return await complain(shell, `sh: export: ${name}: bad variable name`, 2);
      shell.env.set(name, value.length > 0 ? value.join("=") : (shell.variables.get(name) ?? shell.env.get(name) ?? ""));
      shell.variables.delete(name);
    }
    return 0;
  },
  unset(shell, names) {
    for (const name of names) {
      shell.env.delete(name);
      shell.variables.delete(name);
    }
    return 0;
  },
  async read(shell, names) {
    const line = await readLine(shell);
    const plain = names.filter((name) => name !== "-r");
    const words = (line ?? "").trim().split(/[ \t]+/);
    for (const [index, name] of plain.entries())
      shell.variables.set(name, index === plain.length - 1 ? words.slice(index).join(" ") : (words[index] ?? ""));
    return line === null ? 1 : 0;
  },
  async wait(shell, pids) {
    const chosen = pids.length === 0 ? [...shell.jobs.values()] : pids.map((pid) => shell.jobs.get(Number(pid)) ?? Promise.resolve(127));
    const statuses = await orAborted(Promise.all(chosen), shell.task.signal);
    return pids.length === 0 ? 0 : (statuses.at(-1) ?? 0);
  },
  async command(shell, args) {
    if (args[0] !== "-v") return await shell.interpreter.runArgv(shell, args);
    return await which(shell, args[1] ?? "");
  },
};

async function which(shell: Shell, name: string): Promise<number> {
  const known = name in BUILTINS ? name : name in COMMANDS ? `/bin/${name}` : undefined;
  if (known === undefined) return 127;
  await print(shell, `${known}\n`);
  return 0;
}
