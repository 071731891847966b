import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command, Op, PtySize, Ref } from "../../../contract/index.ts";
import { SandboxerError } from "../../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../abort.ts";
import { liveRecord } from "../exec.ts";
import { cgroupOf, checkedName, directoryOf, type Host, hostUser } from "../host.ts";
import { commandProcess } from "../oci-process.ts";
import { identify, signalTree } from "../process-tree.ts";
import { execArgv, lastWords, runtimeArgv, RUNTIMES } from "../runtime.ts";
import { signaller } from "../signal-inside.ts";
import { hasExited, writeRecord } from "./state.ts";

const SHIM = fileURLToPath(new URL("../../../../native/process-shim.pl", import.meta.url));

/** A runtime that takes longer than this to start a command hangs. */
const STARTS_WITHIN_MS = 30_000;

export interface StartOptions {
  readonly pty?: PtySize;
  readonly stdin: "none" | "pipe";
  readonly maxOutputBytes: number;
}

/** Starts a background process under a shim of its own, and waits until it runs. Some 15 ms. Does nothing where it was started already. */
export async function startProcess(host: Host, ref: Ref, command: Command, options: StartOptions, op: Op): Promise<void> {
  throwIfAborted(op.signal);
  const record = liveRecord(host, ref);
  const runtime = host.runtimes.get(record.runtime);
  if (runtime === undefined)
    throw new SandboxerError("backend_unavailable", `${record.runtime} is not on this host any more`, { phase: "processes" });
  const directory = directoryOf(host, ref.id).file("processes", checkedName(command.id, "process"));
  if (existsSync(join(directory, "record.json"))) return;
  // What a start that died has left.
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { mode: 0o700 });

  const { hostProcesses, terminal } = RUNTIMES[runtime.name];
  const description = commandProcess(record.spec, command, {
    runtime: runtime.name,
    ...(options.pty === undefined ? {} : { pty: options.pty }),
  });
  writeFileSync(join(directory, "process.json"), JSON.stringify(description), { mode: 0o600 });
  const mode = options.pty === undefined ? (options.stdin === "pipe" ? "pipe" : "null") : terminal;
  const owner = hostUser(host, record.slot, description.user.uid);
  const settings = {
    cap: options.maxOutputBytes,
    uid: owner,
    gid: owner,
    ...options.pty,
    ...(command.timeoutMs === undefined ? {} : { timeout: command.timeoutMs }),
    ...(process.arch === "arm64" ? { arm64: 1 } : {}),
    ...cgroupOf(host, ref.id).shimFiles(),
  };
  const log = join(directory, "runtime.log");
  const files = { process: join(directory, "process.json"), pid: join(directory, "root") };
  const argv = execArgv(runtime, log, ref.id, files, mode === "console" ? ["--tty", "--console-socket", join(directory, "tty")] : []);
  if (!hostProcesses && command.timeoutMs !== undefined) {
    writeFileSync(join(directory, "killer.json"), JSON.stringify(signaller(record, command.id, "SIGKILL")), { mode: 0o600 });
    const killer = runtimeArgv(runtime, log, "exec", "--process", join(directory, "killer.json"), ref.id);
    writeFileSync(join(directory, "killer"), killer.join("\0"), { mode: 0o600 });
  }
  const text = Object.entries(settings).map(([name, value]) => `${name}=${value}`).join(","); // prettier-ignore
  const startedAt = Date.now();
  const shim = spawn("perl", [SHIM, directory, mode, text, "--", ...argv], {
    detached: true,
    stdio: "ignore",
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
  });
  const failed = new Promise<never>((_, reject) =>
    shim.once("error", (cause) =>
      reject(
        new SandboxerError("provider_missing_dependency", "perl is not on this host", { cause, hint: "Run: apt-get install perl-base" }),
      ),
    ),
  );
  failed.catch(() => undefined);
  shim.unref();
  const running = await Promise.race([failed, runs(directory, shim)]);
  const shimIdentity = identify(shim.pid ?? -1);
  const root = running === undefined || !hostProcesses ? undefined : identify(running);
  if (running === undefined) {
    const words = lastWords(log);
    rmSync(directory, { recursive: true, force: true });
    if (command.cwd !== undefined)
      throw new SandboxerError("invalid_request", `the process could not be started: ${words}`, {
        phase: "processes",
        issues: [{ path: "cwd", message: words }],
      });
    throw new SandboxerError("backend_unavailable", `the process could not be started: ${words}`, {
      phase: "processes",
      backend: host.backend,
    });
  }
  if (op.signal.aborted) {
    shim.kill("SIGKILL");
    if (root !== undefined) await signalTree(cgroupOf(host, ref.id), root, "SIGKILL");
    rmSync(directory, { recursive: true, force: true });
    throw whyAborted(op.signal);
  }
  writeRecord(directory, {
    id: command.id,
    startedAt,
    pty: options.pty !== undefined,
    input: mode !== "null",
    // One that has ended already can have no later namesake taken for it.
    shim: shimIdentity ?? { pid: shim.pid ?? 0, startTicks: -1 },
    ...(root === undefined ? {} : { root }),
  });
}

/** Its id on the host once it runs; undefined where the shim ended without having started it. */
async function runs(directory: string, shim: { exitCode: number | null; signalCode: string | null }): Promise<number | undefined> {
  const deadline = Date.now() + STARTS_WITHIN_MS;
  for (let pause = 1; ; pause = Math.min(10, pause + 1)) {
    const pid = existsSync(join(directory, "root")) ? readFileSync(join(directory, "root"), "utf8") : "";
    if (pid !== "") return Number(pid);
    if (hasExited(directory) || shim.exitCode !== null || shim.signalCode !== null)
      return existsSync(join(directory, "root")) ? Number(readFileSync(join(directory, "root"), "utf8")) : undefined;
    if (Date.now() > deadline) throw new SandboxerError("timeout", "the runtime did not start the process in 30 s", { phase: "processes" });
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
