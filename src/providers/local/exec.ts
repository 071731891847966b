import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Writable } from "node:stream";
import type { Command, ExecEvent, ExecOptions, Op, Ref, Stdin } from "../../contract/index.ts";
import { SandboxerError } from "../../contract/index.ts";
import { throwIfAborted } from "./abort.ts";
import { ByteQueue, type Chunk } from "./byte-queue.ts";
import { endOf } from "./end.ts";
import { cgroupOf, checkedName, directoryOf, type Host, hostUser, restMarker, scratchOf } from "./host.ts";
import { commandProcess } from "./oci-process.ts";
import { identify, isAlive, processesWith, signalTree } from "./process-tree.ts";
import { type Program, startProgram } from "./program.ts";
import type { SandboxRecord } from "./record.ts";
import { admitReaders } from "./reopen.ts";
import { isOfTheMoment, notStarted } from "./not-started.ts";
import { execArgv, RUNTIMES } from "./runtime.ts";
import { signalInside } from "./signal-inside.ts";
import { startAgain } from "./start-again.ts";

/** The record of a sandbox that runs under that very handle. Throws `sandbox_not_found` for an ended or replaced one. */
export function liveRecord(host: Host, ref: Ref): SandboxRecord & { init: NonNullable<SandboxRecord["init"]> } {
  const record = directoryOf(host, ref.id).read();
  if (record?.init === undefined || record.spec.generation !== ref.generation || !isAlive(record.init)) {
    throw new SandboxerError("sandbox_not_found", `sandbox ${ref.id} does not run on this host`, { backend: host.backend });
  }
  return { ...record, init: record.init };
}

/** The same, of one that does not stand still. Throws `wrong_state` as well. */
export function runningRecord(host: Host, ref: Ref): ReturnType<typeof liveRecord> {
  const record = liveRecord(host, ref);
  if (existsSync(restMarker(host, ref.id)))
    throw new SandboxerError("wrong_state", `sandbox ${ref.id} is paused`, { backend: host.backend, hint: "Resume it first." });
  return record;
}

/** Runs a command and streams what it says. A caller that stops early, or aborts, ends the command's whole tree. */
export async function* execCommand(host: Host, ref: Ref, command: Command, options: ExecOptions, op: Op): AsyncGenerator<ExecEvent> {
  const pauses = startAgain();
  for (let started = false; ; started = true) {
    const refusal = yield* execOnce(host, ref, command, options, op, started);
    if (refusal === undefined) return;
    if (!isOfTheMoment(refusal) || !(await pauses.next())) throw refusal;
  }
}

/** One try. Answers why the runtime did not start the command, if it did not: nothing of its input is used up then. */
async function* execOnce(
  host: Host,
  ref: Ref,
  command: Command,
  options: ExecOptions,
  op: Op,
  toldStarted: boolean,
): AsyncGenerator<ExecEvent, SandboxerError | undefined> {
  throwIfAborted(op.signal);
  const record = runningRecord(host, ref);
  const files = execFiles(host, ref.id, command.id);
  const cgroup = cgroupOf(host, ref.id);
  const oomKillsBefore = cgroup.oomKills();
  const { program, input, releaseInput, queue } = await startExec(host, record, command, options.stdin, files);
  const exit = program.ended;

  let ended: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  let timedOut = false;
  void exit.then((status) => {
    ended = status;
    queue.interrupt();
  });
  const kill = (): void => {
    killExec(host, ref.id, command.id, program).catch((error: unknown) =>
      op.log.error({ sandbox: ref.id, exec: command.id, error: String(error) }, "a command could not be ended"),
    );
  };
  const timer = command.timeoutMs === undefined ? undefined : setTimeout(() => ((timedOut = true), kill()), command.timeoutMs);
  op.signal.addEventListener("abort", kill, { once: true });
  // A command has ended when it has, though something it left behind may hold its pipes.
  const nextChunk = async (): Promise<Chunk | undefined> => {
    for (;;) {
      const chunk = queue.take();
      if (chunk !== undefined || (ended !== undefined && queue.ended)) return chunk;
      if (ended === undefined) await (queue.ended ? exit : queue.arrival());
      else {
        await queue.settle();
        return queue.take();
      }
    }
  };
  let finished = false;
  try {
    if (!toldStarted) yield { type: "started" };
    feed(input, options.stdin, () => (existsSync(files.pid) ? "runs" : program.isOver() ? "over" : "starts"), op);
    let left = options.maxOutputBytes;
    let truncated = false;
    for (let chunk = await nextChunk(); chunk !== undefined; chunk = await nextChunk()) {
      truncated ||= chunk.data.length > left;
      if (left > 0) yield { type: chunk.stream, data: chunk.data.subarray(0, left) };
      left = Math.max(0, left - chunk.data.length);
    }
    throwIfAborted(op.signal);
    const status = ended ?? (await exit);
    finished = true;
    const oomKilled = (cgroup.oomKills() ?? 0) > (oomKillsBefore ?? 0);
    // Whoever watched it was killed: it may run on, and nobody would see its end.
    if (status.code === null) await killTree(host, ref.id, command.id);
    else if (status.code !== 0 && !timedOut && !existsSync(files.pid))
      return notStarted(host, record, command, { log: files.log, phase: "exec" });
    yield { type: "exited", ...endOf({ code: status.code, timedOut, truncated, oomKilled, sandboxAlive: isAlive(record.init) }) };
    return undefined;
  } finally {
    clearTimeout(timer);
    op.signal.removeEventListener("abort", kill);
    if (!finished) await killExec(host, ref.id, command.id, program);
    releaseInput();
    queue.close();
    removeFiles(files);
  }
}

interface ExecFiles {
  readonly process: string;
  readonly pid: string;
  readonly log: string;
  readonly input: string;
}

function execFiles(host: Host, sandboxId: string, execId: string): ExecFiles {
  const file = (suffix: string): string => join(scratchOf(host, sandboxId), `${checkedName(execId, "exec")}.${suffix}`);
  return { process: file("json"), pid: file("pid"), log: file("log"), input: file("input") };
}

interface Started {
  readonly program: Program;
  /** Where the command's input goes; undefined where it has none. */
  readonly input: Writable | undefined;
  /** Lets go of the input when the command has ended. */
  readonly releaseInput: () => void;
  readonly queue: ByteQueue;
}

async function startExec(host: Host, record: SandboxRecord, command: Command, stdin: Stdin, files: ExecFiles): Promise<Started> {
  const runtime = host.runtimes.get(record.runtime);
  if (runtime === undefined)
    throw new SandboxerError("backend_unavailable", `${record.runtime}, which runs the sandbox, is not on this host any more`, {
      phase: "exec",
    });
  const description = commandProcess(record.spec, command, { runtime: runtime.name });
  mkdirSync(scratchOf(host, record.spec.id), { recursive: true, mode: 0o700 });
  writeFileSync(files.process, JSON.stringify(description), { mode: 0o600 });
  const owner = hostUser(host, record.slot, description.user.uid);
  const output = await host.fifos.open(owner);
  const errors = await host.fifos.open(owner);
  const argv = execArgv(runtime, files.log, record.spec.id, files);
  const inputPipe = stdin.kind === "pipe" ? await host.fifos.openInput(owner) : undefined;
  const theirInput = stdin.kind === "bytes" ? openInput(files.input, stdin.bytes, owner) : inputPipe?.theirs;
  const theirs = [theirInput, output.theirs, errors.theirs];
  let program: Program;
  try {
    program = await startProgram(host.launcher, argv, theirs);
  } catch (error) {
    // It may run all the same.
    closeAll([output.ours, errors.ours, inputPipe?.ours, inputPipe?.name]);
    await killTree(host, record.spec.id, command.id);
    throw error;
  } finally {
    closeAll(theirs);
  }
  const queue = new ByteQueue();
  queue.add("stdout", output.ours);
  queue.add("stderr", errors.ours);
  if (inputPipe === undefined) return { program, queue, input: undefined, releaseInput: () => undefined };
  const input = new Socket({ fd: inputPipe.ours, readable: false, writable: true });
  let stop: (() => void) | undefined;
  let released = false;
  input.once("close", () => {
    if (!released) stop = admitReaders(inputPipe.name);
  });
  const releaseInput = (): void => {
    released = true;
    stop?.();
    input.destroy();
    closeSync(inputPipe.name);
  };
  return { program, queue, input, releaseInput };
}

function closeAll(descriptors: readonly (number | undefined)[]): void {
  for (const descriptor of descriptors) if (descriptor !== undefined) closeSync(descriptor);
}

/** Input that is known whole is a file, which a program can open again, and read from its start. */
function openInput(file: string, bytes: Uint8Array, owner: number): number {
  writeFileSync(file, bytes, { mode: 0o400 });
  if (owner !== process.getuid?.()) chownSync(file, owner, owner);
  const descriptor = openSync(file, "r");
  unlinkSync(file);
  return descriptor;
}

/** Passes a stream on as the input of a command that runs. A command that does not read it, or ends before, is no error. */
function feed(input: Writable | undefined, stdin: Stdin, look: () => "starts" | "runs" | "over", op: Op): void {
  if (input === undefined || stdin.kind !== "pipe") return;
  input.on("error", () => input.destroy());
  const whenItRuns = async (): Promise<void> => {
    while (look() === "starts") await new Promise((resolve) => setTimeout(resolve, 1));
    if (look() === "runs") await pump(stdin.stream, input);
  };
  void whenItRuns().catch((error: unknown) => {
    op.log.debug({ error: String(error) }, "the stream of a command's input broke");
    input.destroy();
  });
}

/** Held for a command that reads slowly: so that taking the next piece and passing the last on go on side by side. */
const AHEAD_BYTES = 512 * 1024;

async function pump(source: AsyncIterable<Uint8Array>, input: Writable): Promise<void> {
  for await (const chunk of source) {
    if (input.destroyed) return;
    if (!input.write(chunk) && input.writableLength >= AHEAD_BYTES) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          input.off("drain", go);
          input.off("close", go);
          resolve();
        };
        input.once("drain", go);
        input.once("close", go);
      });
    }
  }
  input.end();
}

/** How long the runtime may take to say which process the command is. */
const STARTED_WITHIN_MS = 5_000;

/**
 * Ends a command's tree; the runtime's own process sees the end and ends as well. One that is just being started is waited for:
 * killing the runtime instead could leave the command running.
 */
async function killExec(host: Host, sandboxId: string, execId: string, program: Program): Promise<void> {
  const deadline = Date.now() + STARTED_WITHIN_MS;
  while (!program.isOver() && !(await killTree(host, sandboxId, execId))) {
    if (Date.now() > deadline) {
      program.kill();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function removeFiles(files: ExecFiles): void {
  for (const file of [files.process, files.pid, files.log]) {
    try {
      unlinkSync(file);
    } catch (error) {
      // The whole directory goes with its sandbox.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
}

async function killTree(host: Host, sandboxId: string, execId: string): Promise<boolean> {
  const runtime = directoryOf(host, sandboxId).read()?.runtime;
  if (runtime !== undefined && !RUNTIMES[runtime].hostProcesses) return signalInside(host, sandboxId, execId, "SIGKILL");
  const root = rootOf(host, sandboxId, execId);
  return root !== undefined && signalTree(cgroupOf(host, sandboxId), root, "SIGKILL");
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
  const files = execFiles(host, ref.id, execId);
  const deadline = Date.now() + STARTED_WITHIN_MS;
  // The runtime may still be starting it, though who asked has died: then there is nothing to end yet, and soon there will be.
  while (!(await killTree(host, ref.id, execId)) && processesWith([files.process]).length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  removeFiles(files);
}
