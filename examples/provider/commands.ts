import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SandboxerError } from "../../src/contract/index.ts";
import type { Command, ExecEvent, ExecOptions, Op } from "../../src/contract/index.ts";

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * Its own process namespace, so that the death of its PID 1 is the death of every process in it, and its own /tmp,
 * and the workspace at /mnt. PID 1 is this little shell: a command that were PID 1 would not die of its own signals.
 */
const NAMESPACES = ["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"];
const INIT = 'mount --bind "$1/workspace" /mnt && mount --bind "$1/tmp" /tmp && cd "$2" && { shift 2; "$@"; exit $?; }';
const WORKSPACE = "/mnt";
const SIGNALS: Readonly<Record<number, string>> = {
  129: "SIGHUP",
  130: "SIGINT",
  134: "SIGABRT",
  137: "SIGKILL",
  139: "SIGSEGV",
  143: "SIGTERM",
};

/** Runs commands, and knows those that run. */
export class Commands {
  readonly #path: string;
  readonly #running = new Map<Child, string>();

  constructor(path: string) {
    this.#path = path;
  }

  async *run(
    sandbox: string,
    env: Readonly<Record<string, string>>,
    command: Command,
    options: ExecOptions,
    { signal, log }: Op,
  ): AsyncGenerator<ExecEvent> {
    if (command.user !== undefined) throw new SandboxerError("capability_unsupported", "this backend has no exec.user", { phase: "exec" });
    if (signal.aborted) throw new SandboxerError("canceled", "the exec was canceled", { phase: "exec" });
    const argv = "argv" in command.run ? command.run.argv : ["/bin/sh", "-c", command.run.shell];
    const child: Child = spawn("unshare", [...NAMESPACES, "/bin/sh", "-c", INIT, "init", sandbox, command.cwd ?? WORKSPACE, ...argv], {
      cwd: "/",
      env: { PATH: this.#path, HOME: WORKSPACE, ...env, ...command.env },
    });
    this.#running.set(child, sandbox);
    const ended = new Promise<number>((resolve, reject) => {
      child.once("error", (cause) =>
        reject(new SandboxerError("provider_missing_dependency", "unshare (util-linux) cannot be run", { phase: "exec", cause })),
      );
      child.once("exit", (code) => resolve(code ?? 137));
    }).finally(() => this.#running.delete(child));
    let timedOut = false;
    const kill = () => child.kill("SIGKILL");
    const clock = command.timeoutMs === undefined ? undefined : setTimeout(() => (timedOut = kill()), command.timeoutMs);
    signal.addEventListener("abort", kill);
    const source = options.stdin.kind === "pipe" ? options.stdin.stream : options.stdin.kind === "bytes" ? [options.stdin.bytes] : [];
    // A command may end without reading all it is given.
    pipeline(source, child.stdin).catch((thrown: unknown) => log.debug({ error: String(thrown) }, "stdin ended early"));
    try {
      yield { type: "started" };
      let [left, truncated] = [options.maxOutputBytes, false];
      for await (const { type, data } of outputOf(child)) {
        const kept = data.subarray(0, left);
        truncated ||= kept.length < data.length;
        left -= kept.length;
        if (kept.length > 0) yield { type, data: kept };
      }
      const code = await ended;
      if (signal.aborted) throw new SandboxerError("canceled", "the exec was canceled", { phase: "exec" });
      const died = timedOut ? "SIGKILL" : (SIGNALS[code] ?? null);
      yield {
        type: "exited",
        outcome: timedOut ? "timed_out" : died === null ? "exited" : "signaled",
        exitCode: timedOut ? null : code,
        signal: died,
        oomKilled: false,
        truncated,
      };
    } finally {
      clearTimeout(clock);
      signal.removeEventListener("abort", kill);
      kill();
      await ended;
    }
  }

  /** Kills what runs in one sandbox, or in all, and waits until it is dead. */
  async killAll(sandbox?: string): Promise<void> {
    const chosen = Array.from(this.#running).filter(([, where]) => sandbox === undefined || where === sandbox);
    await Promise.all(chosen.map(([child]) => new Promise<void>((resolve) => (child.once("exit", () => resolve()), child.kill("SIGKILL"))))); // prettier-ignore
  }
}

/** Both outputs as they come. It pulls: what nobody takes stays in the pipes, and the command waits. */
async function* outputOf(child: Child): AsyncGenerator<{ type: "stdout" | "stderr"; data: Uint8Array }> {
  const next = async (type: "stdout" | "stderr", chunks: AsyncIterator<Uint8Array>) => ({ type, chunks, result: await chunks.next() });
  const pending = new Map((["stdout", "stderr"] as const).map((type) => [type, next(type, child[type][Symbol.asyncIterator]())]));
  while (pending.size > 0) {
    const { type, chunks, result } = await Promise.race(pending.values());
    if (result.done === true) {
      pending.delete(type);
      continue;
    }
    pending.set(type, next(type, chunks));
    yield { type, data: result.value };
  }
}
