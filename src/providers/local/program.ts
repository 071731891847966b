import { spawn } from "node:child_process";
import type { Ended, Launcher } from "./launcher.ts";

/** A host program that was started. */
export interface Program {
  readonly ended: Promise<Ended>;
  readonly isOver: () => boolean;
  /** Ends it, if it still runs. */
  readonly kill: () => void;
}

/** What a program ends with that could not be executed, as in a shell. */
export const NOT_EXECUTED = 127;

/**
 * Starts a program with those descriptors as its standard input, output and error, /dev/null where there is none, and nothing else of
 * this process but PATH. Resolves when they may be closed. Throws `backend_unavailable` where it is not known whether it was started.
 */
export async function startProgram(
  launcher: Launcher,
  argv: readonly string[],
  descriptors: readonly (number | undefined)[] = [],
): Promise<Program> {
  const [stdin, stdout, stderr] = [0, 1, 2].map((at) =>
    descriptors[at] === undefined ? "" : `/proc/${process.pid}/fd/${descriptors[at]}`,
  );
  const launched = await launcher.start({ argv, stdin, stdout, stderr });
  if (launched === undefined) return spawned(argv, descriptors);
  return watched(launched.ended, launched.kill);
}

function spawned(argv: readonly string[], descriptors: readonly (number | undefined)[]): Program {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, {
    stdio: [0, 1, 2].map((at) => descriptors[at] ?? "ignore"),
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => resolve({ code: NOT_EXECUTED, signal: null }));
  });
  return watched(ended, () => void child.kill("SIGKILL"));
}

function watched(ended: Promise<Ended>, kill: () => void): Program {
  let over = false;
  const seen = ended.then((end) => {
    over = true;
    return end;
  });
  return { ended: seen, isOver: () => over, kill };
}
