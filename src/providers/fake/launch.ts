import { SandboxerError, pathFromBytes } from "../../contract/index.ts";
import type { Command, End } from "../../contract/index.ts";
import { BrokenPipe, orAborted } from "./channel.ts";
import { INTERPRETER } from "./shell/run.ts";
import { untilExit } from "./shell/shell.ts";
import type { Shell, Streams } from "./shell/shell.ts";
import { WORKSPACE } from "./sandbox.ts";
import type { FakeSandbox } from "./sandbox.ts";
import { Death } from "./task.ts";
import type { Job } from "./task.ts";
import type { Terminal } from "./terminal.ts";
import { TreeError } from "./tree-node.ts";

/** How a command ended, but for `truncated`, which whoever takes its output knows. */
export type Finish = Omit<End, "truncated">;

/** A command under way. `finished` never rejects but for faults of this backend itself. */
export interface Running {
  readonly job: Job;
  readonly finished: Promise<Finish>;
}

/**
 * Starts a command in a sandbox. Throws `file_not_found` or `file_conflict` for its cwd and `invalid_request` for its
 * user before anything runs.
 */
export function launch(sandbox: FakeSandbox, command: Command, job: Job, streams: Streams, terminal: Terminal | undefined): Running {
  const user = sandbox.user(command.user);
  const cwd = workingDirectory(sandbox, command.cwd ?? WORKSPACE, user.uid);
  const env = new Map(
    Object.entries({
      PATH: "/usr/bin:/bin",
      HOME: user.uid === 0 ? "/root" : "/home/sandbox",
      USER: user.name,
      PWD: cwd,
      ...sandbox.spec.env,
      ...command.env,
    }),
  );
  const task = job.spawn();
  const shell: Shell = {
    interpreter: INTERPRETER,
    sandbox,
    task,
    user,
    streams,
    terminal,
    env,
    variables: new Map(),
    args: ["sh"],
    jobs: new Map(),
    cwd,
    status: 0,
    lastJob: undefined,
  };
  const { run } = command;
  // Text that came as JavaScript strings is UTF-8 outside; lone surrogates are bytes already.
  const work = "shell" in run ? () => INTERPRETER.runSource(shell, run.shell) : () => INTERPRETER.runArgv(shell, run.argv.map((argument) => pathFromBytes(Buffer.from(argument)))); // prettier-ignore
  let timedOut = false;
  const clock = command.timeoutMs === undefined ? undefined : setTimeout(expire, command.timeoutMs);
  clock?.unref();
  function expire() {
    timedOut = true;
    job.kill("SIGKILL");
  }
  const finish = async (): Promise<Finish> => {
    try {
      const exitCode = await orAborted(untilExit(work), task.signal);
      return { outcome: "exited", exitCode, signal: null, oomKilled: false };
    } catch (thrown) {
      const death = thrown instanceof BrokenPipe ? new Death("SIGPIPE") : thrown;
      if (!(death instanceof Death)) throw thrown;
      if (timedOut) return { outcome: "timed_out", exitCode: null, signal: "SIGKILL", oomKilled: death.oom };
      return { outcome: "signaled", exitCode: death.status, signal: death.signal, oomKilled: death.oom };
    } finally {
      // A daemonised child outlives its parent, but not the command's clock.
      if (timedOut || job.tasks.size <= 1) clearTimeout(clock);
      job.end(task);
    }
  };
  return { job, finished: finish() };
}

function workingDirectory(sandbox: FakeSandbox, cwd: string, uid: number): string {
  try {
    const found = sandbox.tree.lookup(cwd, { cwd: WORKSPACE, uid });
    if (found.node.kind !== "directory")
      throw new SandboxerError("file_conflict", `the working directory ${cwd} is not a directory`, { phase: "exec" });
    return found.path;
  } catch (problem) {
    if (!(problem instanceof TreeError)) throw problem;
    throw new SandboxerError("file_not_found", `the working directory ${cwd} cannot be entered: ${problem.message}`, {
      phase: "exec",
      cause: problem,
    });
  }
}
