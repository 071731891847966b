import { spawn } from "node:child_process";
import { once } from "node:events";
import { SandboxerError } from "../../../contract/index.ts";

/**
 * Does work while no other process works on the same file: import, removal and prune of one data directory. The kernel lets go of it when
 * this process ends, however it does. Others wait.
 */
export async function whileLocked<T>(file: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const release = await lock(file, signal);
  try {
    return await work();
  } finally {
    release();
  }
}

/** Waits for it; answers how to let go of it. Throws `canceled` where the signal comes first. */
export async function lock(file: string, signal: AbortSignal): Promise<() => void> {
  // Holds the lock for as long as we hold its input.
  const holder = spawn("flock", [file, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "ignore"] });
  const release = () => void holder.stdin.destroy();
  holder.stdin.on("error", release);
  const failed = once(holder, "error").then(([cause]) => cause as Error);
  const ended = once(holder, "exit").then(() => new Error("it ended"));
  const stop = () => void holder.kill("SIGKILL");
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const answer = await Promise.race([once(holder.stdout, "data").then(() => undefined), failed, ended]);
  signal.removeEventListener("abort", stop);
  if (signal.aborted) {
    release();
    throw new SandboxerError("canceled", "the operation was canceled");
  }
  if (answer !== undefined)
    throw new SandboxerError("backend_unavailable", "the images cannot be locked: flock of util-linux failed", { cause: answer });
  holder.stdout.resume();
  return release;
}
