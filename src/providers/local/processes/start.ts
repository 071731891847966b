import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command, Op, PtySize, Ref } from "../../../contract/index.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { throwIfAborted } from "../abort.ts";
import { runningRecord } from "../exec.ts";
import { cgroupOf, type Host, hostUser, scratchOf } from "../host.ts";
import { commandProcess } from "../oci-process.ts";
import { isAlive, signalProcess, signalTree } from "../process-tree.ts";
import { isOfTheMoment, notStarted } from "../not-started.ts";
import { execArgv, runtimeArgv, RUNTIMES } from "../runtime.ts";
import { signaller, signalInside } from "../signal-inside.ts";
import { startAgain } from "../start-again.ts";
import { Changes } from "./changes.ts";
import { ProcessPlace } from "./place.ts";
import { hasExited, hasStarted, keepRoot, readRecord, rootOf, shimOf, writeRecord } from "./state.ts";

const SHIM = fileURLToPath(new URL("../../../../native/process-shim.pl", import.meta.url));

/** The steps at which a test may kill the control plane. */
export const PROCESS_FAILPOINTS = ["local.process.after_record", "local.process.after_fork"] as const;

/** In the place of the path of a terminal's socket, which the shim knows a short name for: it may have 107 bytes. */
const CONSOLE = "console:";

/** A runtime that takes longer than this to start a command hangs. */
const STARTS_WITHIN_MS = 30_000;

export interface StartOptions {
  readonly pty?: PtySize;
  readonly stdin: "none" | "pipe";
  readonly maxOutputBytes: number;
}

/** Starts a background process under a shim of its own, and waits until it runs. A runtime's exec and 2 ms. Does nothing where it was started already. */
export async function startProcess(host: Host, ref: Ref, command: Command, options: StartOptions, op: Op): Promise<void> {
  const pauses = startAgain();
  for (;;) {
    const refusal = await startOnce(host, ref, command, options, op);
    if (refusal === undefined) return;
    if (!isOfTheMoment(refusal) || !(await pauses.next())) throw refusal;
  }
}

/** One try. Answers why the runtime did not start it, if it did not. */
async function startOnce(host: Host, ref: Ref, command: Command, options: StartOptions, op: Op): Promise<SandboxerError | undefined> {
  throwIfAborted(op.signal);
  const record = runningRecord(host, ref);
  const runtime = host.runtimes.get(record.runtime);
  if (runtime === undefined)
    throw new SandboxerError("backend_unavailable", `${record.runtime} is not on this host any more`, { phase: "processes" });
  const place = new ProcessPlace(host, ref.id, command.id);
  if (existsSync(place.directory)) {
    if (hasStarted(place.directory) || (await comesToLife(place.directory))) return undefined;
    // What a start that died has left.
    place.remove();
  }
  const directory = place.inMemory;
  mkdirSync(directory, { recursive: true, mode: 0o700 });

  const { hostProcesses, terminal } = RUNTIMES[runtime.name];
  const description = commandProcess(record.spec, command, {
    runtime: runtime.name,
    ...(options.pty === undefined ? {} : { pty: options.pty }),
  });
  // Read once, by the runtime, and gone when the process runs. What a crash leaves of it goes with the sandbox.
  const briefing = join(scratchOf(host, ref.id), `${command.id}.json`);
  writeFileSync(briefing, JSON.stringify(description), { mode: 0o600 });
  const mode = options.pty === undefined ? (options.stdin === "pipe" ? "pipe" : "null") : terminal;
  const owner = hostUser(host, record.slot, description.user.uid);
  const settings = {
    cap: options.maxOutputBytes,
    uid: owner,
    gid: owner,
    ...options.pty,
    ...(command.timeoutMs === undefined ? {} : { timeout: command.timeoutMs }),
    ...cgroupOf(host, ref.id).shimFiles(),
  };
  const log = join(scratchOf(host, ref.id), `${command.id}.log`);
  const files = { process: briefing, pid: join(directory, "root") };
  const argv = execArgv(runtime, log, ref.id, files, mode === "console" ? ["--tty", "--console-socket", CONSOLE] : []);
  if (!hostProcesses && command.timeoutMs !== undefined) {
    writeFileSync(join(directory, "killer.json"), JSON.stringify(signaller(record, command.id, "SIGKILL")), { mode: 0o600 });
    const killer = runtimeArgv(runtime, log, "exec", "--process", join(directory, "killer.json"), ref.id);
    writeFileSync(join(directory, "killer"), killer.join("\0"), { mode: 0o600 });
  }
  const text = Object.entries(settings).map(([name, value]) => `${name}=${value}`).join(","); // prettier-ignore
  writeRecord(directory, { id: command.id, startedAt: Date.now(), pty: options.pty !== undefined, input: mode !== "null", hostProcesses });
  host.failpoint("local.process.after_record");
  const changes = new Changes(directory, ["root", "exit"], op.signal);
  try {
    const shim = await host.launcher.fork(SHIM, [directory, place.onDisk, mode, text, "--", ...argv]);
    host.failpoint("local.process.after_fork");
    void shim.ended.then(changes.notice);
    if (!(await runs(directory, changes, shim.isOver))) {
      const refusal = notStarted(host, record, command, { log, phase: "processes" });
      await discard(host, ref, command.id, place);
      return refusal;
    }
    if (hostProcesses) keepRoot(place.directory);
    throwIfAborted(op.signal);
    return undefined;
  } catch (error) {
    // It may run all the same: who asked has left, or who started it has ended without a word.
    await discard(host, ref, command.id, place);
    throw error;
  } finally {
    changes.close();
    for (const file of [briefing, log]) rmSync(file, { force: true });
  }
}

/** Whether it runs in the end that another start, whose server has died, is about to bring about. */
async function comesToLife(directory: string): Promise<boolean> {
  const shim = shimOf(directory);
  if (shim === undefined || !isAlive(shim)) return false;
  const changes = new Changes(directory, ["root", "exit"], new AbortController().signal);
  try {
    return await runs(directory, changes, () => !isAlive(shim));
  } finally {
    changes.close();
  }
}

/** Whether it runs, or has run; false where its shim ended without having started it. */
async function runs(directory: string, changes: Changes, isOver: () => boolean): Promise<boolean> {
  for (const deadline = Date.now() + STARTS_WITHIN_MS; Date.now() < deadline;) {
    await changes.next();
    // In this order: what ends between the two looks has been started before.
    const over = isOver() || hasExited(directory);
    if (hasStarted(directory)) return true;
    if (over) return false;
  }
  throw new SandboxerError("timeout", "the runtime did not start the process in 30 s", { phase: "processes" });
}

/** Ends what was started, if anything, and forgets it. */
async function discard(host: Host, ref: Ref, id: string, place: ProcessPlace): Promise<void> {
  const { directory } = place;
  if (hasStarted(directory)) {
    const root = rootOf(directory);
    if (root !== undefined) await signalTree(cgroupOf(host, ref.id), root, "SIGKILL");
    else if (!readRecord(directory).hostProcesses) await signalInside(host, ref.id, id, "SIGKILL");
  }
  const shim = shimOf(directory);
  if (shim !== undefined) signalProcess(shim, "SIGKILL");
  place.remove();
}
