import { SandboxerError, type ProcessInfo, type ProcessRequest, type PtySize } from "../../../../contract/index.ts";
import type { Session } from "../session.ts";
import type { Pty, StartRequest } from "../wire/process.ts";

/** Kept of one command's output. What comes beyond is dropped, and its end says so. */
const JOURNAL_BYTES = 256 * 1024 ** 2;

/**
 * Starts what the wire asks for as a background process of ours, so that no connection holds it.
 *
 * @param timeoutMs The whole request's: it ends the process, not only the stream.
 */
export async function startProcess(session: Session, request: StartRequest, timeoutMs: number | undefined): Promise<ProcessInfo> {
  const { process: config, pty, tag, stdin } = request;
  if (config === undefined || config.cmd === "") throw new SandboxerError("invalid_request", "process.cmd: nothing to run");
  const cwd = session.path(config.cwd ?? "");
  const wanted: ProcessRequest = {
    argv: [config.cmd, ...config.args],
    cwd,
    // A shell keeps the name it was started under where the directory has two.
    env: { PWD: cwd, ...config.envs },
    max_output_bytes: JOURNAL_BYTES,
    ...(pty === undefined ? { stdin: stdin === false ? "none" : "pipe" } : { pty: ptySize(pty) }),
    ...(timeoutMs === undefined ? {} : { timeout: Math.max(0.001, timeoutMs / 1000) }),
    ...(tag === undefined || tag === "" ? {} : { tag }),
  };
  return session.engine.processes.start(session.who, session.id, wanted);
}

/** A terminal's size; the usual one where none is given. */
export function ptySize({ size }: Pty): PtySize {
  return { cols: size?.cols || 80, rows: size?.rows || 24 };
}
