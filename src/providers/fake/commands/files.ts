import { actorOf, complain, print } from "../shell/shell.ts";
import type { CommandFunction } from "../shell/shell.ts";
import { TreeError, mayAccess } from "../tree-node.ts";

/** Commands over the in-memory files. */
export const FILE_COMMANDS: Readonly<Record<string, CommandFunction>> = {
  async ls(shell, args) {
    const { flags, rest } = split(args);
    for (const path of rest.length === 0 ? ["."] : rest) {
      const { node } = shell.sandbox.tree.lookup(path, actorOf(shell), !flags.includes("d"));
      if (node.kind !== "directory") {
        await print(shell, `${path}\n`);
        continue;
      }
      if (!mayAccess(node, shell.user.uid, 4)) throw new TreeError("EACCES", path);
      const names = [...node.entries.keys()].filter((name) => flags.includes("a") || flags.includes("A") || !name.startsWith(".")).sort();
      for (const name of names) await print(shell, `${name}\n`);
    }
    return 0;
  },
  mkdir(shell, args) {
    const { flags, rest } = split(args);
    const { tree } = shell.sandbox;
    for (const path of rest) {
      if (flags.includes("p")) tree.makeParents(path, actorOf(shell));
      else tree.make(tree.place(path, actorOf(shell)), "directory", 0o755, actorOf(shell));
    }
    return 0;
  },
  rmdir: (shell, paths) => {
    for (const path of paths) shell.sandbox.tree.remove(shell.sandbox.tree.place(path, actorOf(shell), false), actorOf(shell), false);
    return 0;
  },
  rm(shell, args) {
    const { flags, rest } = split(args);
    for (const path of rest) {
      const place = shell.sandbox.tree.place(path, actorOf(shell), false);
      if (place.node === undefined && flags.includes("f")) continue;
      if (place.node?.kind === "directory" && !/[rR]/.test(flags)) throw new TreeError("EISDIR", path);
      shell.sandbox.tree.remove(place, actorOf(shell), true);
    }
    return 0;
  },
  async mv(shell, args) {
    const { rest } = split(args);
    const [from, to] = rest;
    if (from === undefined || to === undefined) return await complain(shell, "mv: needs two paths");
    const { tree } = shell.sandbox;
    const source = tree.place(from, actorOf(shell), false);
    const target = tree.place(to, actorOf(shell));
    tree.rename(
      source,
      target.node?.kind === "directory" ? tree.place(`${to}/${source.name}`, actorOf(shell), false) : target,
      actorOf(shell),
    );
    return 0;
  },
  async cp(shell, [from, to]) {
    if (from === undefined || to === undefined) return await complain(shell, "cp: needs two paths");
    const { tree } = shell.sandbox;
    const { node } = tree.lookup(from, actorOf(shell));
    if (node.kind !== "file") throw new TreeError("EISDIR", from);
    const copy = tree.openForWrite(to, actorOf(shell), "truncate", node.mode);
    tree.append(copy.node, node.buffer.slice(0, node.size), copy.path);
    return 0;
  },
  ln(shell, args) {
    const { flags, rest } = split(args);
    const [target = "", path = ""] = rest;
    if (!flags.includes("s")) throw new TreeError("EINVAL", path);
    shell.sandbox.tree.make(shell.sandbox.tree.place(path, actorOf(shell), false), "symlink", 0o777, actorOf(shell), target);
    return 0;
  },
  mkfifo(shell, paths) {
    for (const path of paths) shell.sandbox.tree.make(shell.sandbox.tree.place(path, actorOf(shell)), "fifo", 0o644, actorOf(shell));
    return 0;
  },
  chmod(shell, [mode = "", ...paths]) {
    for (const path of paths) {
      const { node, path: real } = shell.sandbox.tree.lookup(path, actorOf(shell));
      if (!/^[0-7]+$/.test(mode) && mode !== "+x") throw new TreeError("EINVAL", mode);
      shell.sandbox.tree.chmod(node, real, mode === "+x" ? node.mode | 0o111 : Number.parseInt(mode, 8), actorOf(shell));
    }
    return 0;
  },
  touch(shell, paths) {
    for (const path of paths) {
      const { tree } = shell.sandbox;
      const place = tree.place(path, actorOf(shell));
      (place.node ?? tree.make(place, "file", 0o644, actorOf(shell))).modifiedAt = Date.now();
    }
    return 0;
  },
  async readlink(shell, [path = ""]) {
    const { node } = shell.sandbox.tree.lookup(path, actorOf(shell), false);
    if (node.kind !== "symlink") return 1;
    await print(shell, `${node.target}\n`);
    return 0;
  },
  test: (shell, args) => Number(!holds(shell, args)),
  "[": (shell, args) => Number(!holds(shell, args.slice(0, -1))),
};

function split(args: readonly string[]): { flags: string; rest: string[] } {
  const end = args.indexOf("--");
  const isFlag = (argument: string, index: number) => argument.length > 1 && argument.startsWith("-") && (end < 0 || index < end);
  return { flags: args.filter(isFlag).join(""), rest: args.filter((argument, index) => !isFlag(argument, index) && index !== end) };
}

function holds(shell: Parameters<CommandFunction>[0], args: readonly string[]): boolean {
  if (args[0] === "!") return !holds(shell, args.slice(1));
  const [a = "", b, c = ""] = args;
  if (b === undefined) return a !== "";
  if (b === "=") return a === c;
  if (b === "!=") return a !== c;
  if (b === "-eq") return Number(a) === Number(c);
  if (b === "-ne") return Number(a) !== Number(c);
  if (b === "-lt") return Number(a) < Number(c);
  if (b === "-gt") return Number(a) > Number(c);
  if (a === "-n") return b !== "";
  if (a === "-z") return b === "";
  if (a === "-t") return shell.terminal !== undefined;
  const node = probe(shell, b, a !== "-L" && a !== "-h");
  if (node === undefined) return false;
  const kinds: Readonly<Record<string, string>> = {
    "-f": "file",
    "-d": "directory",
    "-L": "symlink",
    "-h": "symlink",
    "-p": "fifo",
    "-c": "char_device",
  };
  if (a === "-s") return node.size > 0;
  if (a === "-x") return mayAccess(node, shell.user.uid, 1);
  if (a === "-w") return mayAccess(node, shell.user.uid, 2);
  if (a === "-r") return mayAccess(node, shell.user.uid, 4);
  return a === "-e" || node.kind === kinds[a];
}

function probe(shell: Parameters<CommandFunction>[0], path: string, follow: boolean) {
  try {
    return shell.sandbox.tree.place(path, actorOf(shell), follow).node;
  } catch (problem) {
    if (problem instanceof TreeError) return undefined;
    throw problem;
  }
}
