import { setTimeout as sleep } from "node:timers/promises";
import { actorOf, childOf, complain, print, readLine, untilExit } from "../shell/shell.ts";
import type { CommandFunction, Shell } from "../shell/shell.ts";
import { Death, SIGNALS } from "../task.ts";
import { pathFromBytes } from "../../../contract/index.ts";

/** Commands about processes, users and the machine. */
export const PROCESS_COMMANDS: Readonly<Record<string, CommandFunction>> = {
  true: () => 0,
  false: () => 1,
  async sleep(shell, [seconds = ""]) {
    const wanted = seconds === "infinity" ? 2 ** 31 / 1000 - 1 : Number(seconds);
    if (Number.isNaN(wanted)) return await complain(shell, `sleep: invalid time interval '${seconds}'`);
    await pause(wanted * 1000, shell.task.signal);
    await shell.sandbox.gate.pass();
    return 0;
  },
  /** Counts from 1, a number a line every so many seconds, for as long as it runs. */
  async count(shell, [seconds = "0.02"]) {
    for (let number = 1; ; number++) {
      await print(shell, `${number}\n`);
      await pause(Number(seconds) * 1000, shell.task.signal);
      await shell.sandbox.gate.pass();
      shell.task.signal.throwIfAborted();
    }
  },
  async kill(shell, args) {
    const named = args.length > 1 && args[0]?.startsWith("-") ? args.slice(args[0] === "-s" ? 1 : 0) : ["-TERM", ...args];
    const [flag = "", ...pids] = named;
    const wanted = flag.replace(/^-/, "").replace(/^SIG/, "");
    const signal = Object.keys(SIGNALS).find((name) => name === `SIG${wanted}` || String(SIGNALS[name]) === wanted);
    if (signal === undefined && wanted !== "0") return await complain(shell, `kill: invalid signal '${wanted}'`, 2);
    for (const pid of pids) {
      const task = shell.sandbox.pids.tasks.get(Number(pid));
      if (task === undefined) return await complain(shell, `kill: (${pid}) - No such process`);
      if (signal !== undefined) task.kill(signal);
    }
    shell.task.signal.throwIfAborted();
    return 0;
  },
  /** Uses more memory than there is: the kernel kills it. */
  oom(shell) {
    shell.sandbox.oomKills++;
    shell.task.kill("SIGKILL", true);
    throw new Death("SIGKILL", true);
  },
  async sh(shell, args) {
    const child: Shell = { ...childOf(shell, shell.task), args: ["sh"] };
    if (args[0] === "-c")
      return await untilExit(() =>
        child.interpreter.runSource({ ...child, args: args.slice(2).length > 0 ? args.slice(2) : ["sh"] }, args[1] ?? ""),
      );
    const file = args[0];
    if (file === undefined || file === "-i" || file === "-s") return await untilExit(() => interact(child));
    const { node } = shell.sandbox.tree.lookup(file, actorOf(shell));
    return await untilExit(() =>
      child.interpreter.runSource({ ...child, args: [...args] }, pathFromBytes(node.buffer.subarray(0, node.size))),
    );
  },
  bash: (shell, args) => PROCESS_COMMANDS["sh"]?.(shell, args.filter((argument) => argument !== "-l")) ?? 127, // prettier-ignore
  nohup: (shell, args) => shell.interpreter.runArgv(shell, args),
  setsid: (shell, args) => shell.interpreter.runArgv(shell, args),
  async env(shell, args) {
    const env = new Map(args.includes("-i") ? [] : shell.env);
    let at = 0;
    for (; at < args.length && (args[at] === "-i" || /^[A-Za-z_][A-Za-z0-9_]*=/.test(args[at] ?? "")); at++) {
      const [name = "", ...value] = (args[at] ?? "").split("=");
      if (name !== "-i") env.set(name, value.join("="));
    }
    if (at < args.length) return await shell.interpreter.runArgv({ ...shell, env }, args.slice(at));
    for (const [name, value] of env) await print(shell, `${name}=${value}\n`);
    return 0;
  },
  async printenv(shell, [name]) {
    const value = shell.env.get(name ?? "");
    if (value !== undefined) await print(shell, `${value}\n`);
    return value === undefined ? 1 : 0;
  },
  pwd: async (shell) => (await print(shell, `${shell.cwd}\n`), 0),
  whoami: async (shell) => (await print(shell, `${shell.user.name}\n`), 0),
  hostname: async (shell) => (await print(shell, `${shell.sandbox.spec.hostname}\n`), 0),
  uname: async (shell) => (await print(shell, "Fake\n"), 0),
  nproc: async (shell) => (await print(shell, `${Math.max(1, Math.ceil(shell.sandbox.spec.resources.cpu))}\n`), 0),
  date: async (shell, args) => (await print(shell, `${args[0] === "+%s" ? Math.floor(Date.now() / 1000) : new Date().toUTCString()}\n`), 0),
  async id(shell, args) {
    const { uid, gid, name } = shell.user;
    await print(
      shell,
      args[0] === "-u" ? `${uid}\n` : args[0] === "-g" ? `${gid}\n` : args[0] === "-un" ? `${name}\n` : `uid=${uid}(${name}) gid=${gid}\n`,
    );
    return 0;
  },
  async tty(shell) {
    await print(shell, shell.terminal === undefined ? "not a tty\n" : "/dev/pts/0\n");
    return shell.terminal === undefined ? 1 : 0;
  },
  async stty(shell, args) {
    if (shell.terminal === undefined) return await complain(shell, "stty: standard input: Not a tty");
    if (args[0] === "size") await print(shell, `${shell.terminal.size.rows} ${shell.terminal.size.cols}\n`);
    if (args[0] === "-echo" || args[0] === "echo") shell.terminal.echo = args[0] === "echo";
    return 0;
  },
};

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown;
  }
}

/** Reads commands line by line from standard input; at a terminal it prompts. */
async function interact(shell: Shell): Promise<number> {
  for (;;) {
    if (shell.terminal !== undefined) await print(shell, "$ ");
    const line = await readLine(shell);
    if (line === null) return shell.status;
    shell.status = await shell.interpreter.runSource(shell, line);
  }
}
