import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Command, End, ExecEvent, ExecOptions, Op, Ref, Stdin } from "../../contract/index.ts";
import { SandboxerError } from "../../contract/index.ts";
import { ByteQueue } from "./byte-queue.ts";
import { cgroupOf, directoryOf, type Host } from "./host.ts";
import { commandProcess } from "./oci-process.ts";
import { identify, isAlive, signalTree } from "./process-tree.ts";
import type { SandboxRecord } from "./record.ts";
import { lastWords, runtimeArgv } from "./runtime.ts";

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** What a shell calls the end of a command by signal n. */
const SIGNAL_BASE = 128;

const SIGKILL_CODE = SIGNAL_BASE + constants.signals.SIGKILL;

/** The record of a sandbox that runs under that very handle. Throws `sandbox_not_found` for an ended or replaced one. */
export function liveRecord(host: Host, ref: Ref): SandboxRecord & { init: NonNullable<SandboxRecord["init"]> } {
  const record = directoryOf(host, ref.id).read();
  if (record?.init === undefined || record.spec.generation !== ref.generation || !isAlive(record.init)) {
    throw new SandboxerError("sandbox_not_found", `sandbox ${ref.id} does not run on this host`, { backend: host.backend });
  }
  return { ...record, init: record.init };
}

/** Runs a command and streams what it says. A caller that stops early, or aborts, ends the command's whole tree. */
export async function* execCommand(host: Host, ref: Ref, command: Command, options: ExecOptions, op: Op): AsyncGenerator<ExecEvent> {
  op.signal.throwIfAborted();
  const record = liveRecord(host, ref);
  const files = execFiles(host, ref.id, command.id);
  const cgroup = cgroupOf(host, ref.id);
  const oomKillsBefore = cgroup.oomKills();
  const child = startExec(host, record, command, options.stdin, files);
  const exit = exited(child);
  const queue = new ByteQueue();
  if (child.stdout !== null) queue.add("stdout", child.stdout);
  if (child.stderr !== null) queue.add("stderr", child.stderr);

  let ended: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  let timedOut = false;
  void exit.then((status) => {
    ended = status;
    queue.interrupt();
  });
  const kill = (): void => void killExec(host, ref.id, command.id, child);
  const timer = command.timeoutMs === undefined ? undefined : setTimeout(() => ((timedOut = true), kill()), command.timeoutMs);
  op.signal.addEventListener("abort", kill, { once: true });
  let finished = false;
  try {
    yield { type: "started" };
    feed(child, options.stdin, op);
    let left = options.maxOutputBytes;
    let truncated = false;
    for (;;) {
      const chunk = queue.take();
      if (chunk !== undefined) {
        truncated ||= chunk.data.length > left;
        if (left > 0) yield { type: chunk.stream, data: chunk.data.subarray(0, left) };
        left = Math.max(0, left - chunk.data.length);
        continue;
      }
      if (queue.ended && ended !== undefined) break;
      if (ended === undefined) await (queue.ended ? exit : queue.arrival());
      else {
        await queue.settle();
        const more = queue.take();
        if (more === undefined) break;
        truncated ||= more.data.length > left;
        if (left > 0) yield { type: more.stream, data: more.data.subarray(0, left) };
        left = Math.max(0, left - more.data.length);
      }
    }
    op.signal.throwIfAborted();
    const status = ended ?? (await exit);
    finished = true;
    const oomKilled = (cgroup.oomKills() ?? 0) > (oomKillsBefore ?? 0);
    if (status.code !== 0 && !timedOut && !existsSync(files.pid)) throw notStarted(host, record, command, files.log);
    yield { type: "exited", ...endOf(status, { timedOut, truncated, oomKilled, sandboxAlive: isAlive(record.init) }) };
  } finally {
    clearTimeout(timer);
    op.signal.removeEventListener("abort", kill);
    if (!finished) await killExec(host, ref.id, command.id, child);
    queue.close();
    await Promise.all([files.process, files.pid, files.log].map((file) => rm(file, { force: true })));
  }
}

interface ExecFiles {
  readonly process: string;
  readonly pid: string;
  readonly log: string;
}

function execFiles(host: Host, sandboxId: string, execId: string): ExecFiles {
  const directory = directoryOf(host, sandboxId);
  const file = (suffix: string): string => directory.file("exec", `${execId}.${suffix}`);
  return { process: file("json"), pid: file("pid"), log: file("log") };
}

function startExec(host: Host, record: SandboxRecord, command: Command, stdin: Stdin, files: ExecFiles): ChildProcess {
  const runtime = host.levels.find((level) => level.runtime.name === record.runtime)?.runtime;
  if (runtime === undefined) throw new SandboxerError("backend_unavailable", `${record.runtime}, which runs the sandbox, is not on this host any more`, { phase: "exec" });
  writeFileSync(files.process, JSON.stringify(commandProcess(record.spec, command)), { mode: 0o600 });
  const [program = "", ...args] = runtimeArgv(runtime, files.log, "exec", "--process", files.process, "--pid-file", files.pid, record.spec.id);
  return spawn(program, args, { stdio: [stdin.kind === "none" ? "ignore" : "pipe", "pipe", "pipe"], env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" } });
}

function exited(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    // It never started: as one that ended without a word; `notStarted` says why.
    child.once("error", () => resolve({ code: SIGNAL_BASE - 1, signal: null }));
  });
}

/** Gives the command its input. A command that does not read it, or ends before, is no error. */
function feed(child: ChildProcess, stdin: Stdin, op: Op): void {
  const input = child.stdin;
  if (input === null || stdin.kind === "none") return;
  input.on("error", () => input.destroy());
  if (stdin.kind === "bytes") input.end(stdin.bytes);
  else {
    void pump(stdin.stream, input).catch((error: unknown) => {
      op.log.debug({ error: String(error) }, "the stream of a command's input broke");
      input.destroy();
    });
  }
}

async function pump(source: AsyncIterable<Uint8Array>, input: NonNullable<ChildProcess["stdin"]>): Promise<void> {
  for await (const chunk of source) {
    if (input.destroyed) return;
    if (!input.write(chunk)) {
      await new Promise<void>((resolve) => {
        input.once("drain", resolve);
        input.once("close", resolve);
      });
    }
  }
  input.end();
}

/** Ends a command's tree; the runtime's own process sees the end and ends as well. */
async function killExec(host: Host, sandboxId: string, execId: string, child?: ChildProcess): Promise<void> {
  const root = rootOf(host, sandboxId, execId);
  const killed = root !== undefined && (await signalTree(cgroupOf(host, sandboxId), root, "SIGKILL"));
  // Not started yet, or the runtime hangs: then it is what has to go.
  if (!killed && child?.exitCode === null) child.kill("SIGKILL");
}

function rootOf(host: Host, sandboxId: string, execId: string): ReturnType<typeof identify> {
  try {
    return identify(Number(readFileSync(execFiles(host, sandboxId, execId).pid, "utf8")));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** After a restart of the control plane: ends what the exec left, where there is something. */
export async function abandonExec(host: Host, ref: Ref, execId: string): Promise<void> {
  await killExec(host, ref.id, execId);
  const files = execFiles(host, ref.id, execId);
  await Promise.all([files.process, files.pid, files.log].map((file) => rm(file, { force: true })));
}

/** The runtime ended without having started the command. */
function notStarted(host: Host, record: SandboxRecord, command: Command, log: string): SandboxerError {
  const words = lastWords(log);
  if (record.init === undefined || !isAlive(record.init)) return new SandboxerError("sandbox_not_found", `the sandbox ended before the command started: ${words}`, { phase: "exec" });
  if (command.cwd !== undefined && /chdir|cwd|working directory/i.test(words)) {
    return new SandboxerError("invalid_request", `the working directory "${command.cwd}" cannot be entered`, { phase: "exec", issues: [{ path: "cwd", message: words }] });
  }
  return new SandboxerError("backend_unavailable", `the runtime could not start the command: ${words}`, { phase: "exec", backend: host.backend });
}

function endOf(
  status: { code: number | null; signal: NodeJS.Signals | null },
  seen: { timedOut: boolean; truncated: boolean; oomKilled: boolean; sandboxAlive: boolean },
): End {
  const { truncated, oomKilled } = seen;
  const end = (outcome: End["outcome"], exitCode: number | null, signal: string | null): End => ({ outcome, exitCode, signal, oomKilled, truncated });
  if (seen.timedOut) return end("timed_out", null, "SIGKILL");
  // The runtime's own process was killed: how the command ended, nobody saw.
  if (status.code === null) return end("unknown", null, null);
  if (status.code === SIGKILL_CODE && !seen.sandboxAlive) return end("killed", null, "SIGKILL");
  const signal = SIGNAL_NAMES.get(status.code - SIGNAL_BASE);
  return signal === undefined ? end("exited", status.code, null) : end("signaled", status.code, signal);
}
