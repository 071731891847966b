import { spawn } from "node:child_process";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command, ExecEvent, ExecOptions, Op, Ref } from "../../../src/contract/index.ts";
import { SandboxerError } from "../../../src/contract/index.ts";
import { filesOverExec } from "../../../src/providers/shared/files-over-exec.ts";

/** Nobody's uid where the tests run as root: permissions then mean what they say. */
const UID = process.getuid?.() === 0 ? 65_534 : undefined;
export const UNPRIVILEGED = UID === undefined ? {} : { uid: UID, gid: UID };

export const BUSYBOX = "/usr/bin/busybox";
export const ref: Ref = { id: "sb", tenant: "default", generation: 1, native: "host", maxLifeAt: 0 };
export const op: Op = { signal: new AbortController().signal, log: { debug() {}, info() {}, warn() {}, error() {} } };

/** The smallest exec there is: a child process of the test, as an unprivileged user, in its own process group. */
export async function* hostExec(_ref: Ref, command: Command, options: ExecOptions, { signal }: Op): AsyncGenerator<ExecEvent> {
  if (!("argv" in command.run)) throw new SandboxerError("invalid_request", "only argv");
  const [file = "", ...args] = command.run.argv;
  const child = spawn(file, args, { cwd: "/", env: { PATH: "/usr/bin:/bin" }, detached: true, ...UNPRIVILEGED });
  const kill = () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
  };
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, name) => resolve({ code, signal: name }));
  });
  const source = options.stdin.kind === "pipe" ? options.stdin.stream : [];
  const fed = pipeline(source, child.stdin, { signal }).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code !== "EPIPE" && thrown.code !== "ERR_STREAM_PREMATURE_CLOSE") kill();
  });
  signal.addEventListener("abort", kill);
  const merged = new PassThrough({ objectMode: true, highWaterMark: 2 });
  const pump = async (type: "stdout" | "stderr") => {
    for await (const data of child[type] as AsyncIterable<Uint8Array>) {
      if (!merged.write({ type, data })) await new Promise((resolve) => merged.once("drain", resolve));
    }
  };
  void Promise.all([pump("stdout"), pump("stderr")]).then(() => merged.end(), (thrown: Error) => merged.destroy(thrown)); // prettier-ignore
  try {
    yield { type: "started" };
    for await (const event of merged as AsyncIterable<ExecEvent>) yield event;
    const { code, signal: name } = await ended;
    if (signal.aborted) throw SandboxerError.from(signal.reason);
    yield {
      type: "exited",
      outcome: name === null ? "exited" : "signaled",
      exitCode: code,
      signal: name,
      oomKilled: false,
      truncated: false,
    };
  } finally {
    kill();
    signal.removeEventListener("abort", kill);
    await Promise.all([fed, ended]);
  }
}

/** A directory that the unprivileged user owns, and Files over it. */
export async function openFiles(more: { stallMs?: number; maxEntries?: number; busybox?: string } = {}) {
  const workdir = await mkdtemp(join(tmpdir(), "files-"));
  chmodSync(workdir, 0o755);
  if (UID !== undefined) await chown(workdir, UID, UID);
  const files = filesOverExec({ exec: hostExec, workdir, busybox: BUSYBOX, ...more });
  return { workdir, files, dispose: () => rm(workdir, { recursive: true, force: true }) };
}

export async function* chunks(...parts: (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part as string);
}

export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of body) all.push(chunk);
  return Buffer.concat(all);
}
