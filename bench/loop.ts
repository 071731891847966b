import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** How often the loop is asked for; taken off what is seen. */
export const RESOLUTION_MS = 2;

/** For how long an event loop stood still, in milliseconds. */
export interface LoopDelay {
  readonly longest: number;
  /** The most processor time that it took between two looks: what of that is not somebody else's turn on the processor. */
  readonly work: number;
  readonly p99: number;
}

const ANSWERS_MS = 30_000;

/** The flag that makes a process of Node measure its own loop into that file. */
export function measuringLoop(file: string): string {
  return `--import=${new URL("loop-delay.ts", `file://${join(import.meta.dirname, "/")}`).href}?${encodeURIComponent(file)}`;
}

/** What a process that runs with {@link measuringLoop} has seen since it was asked last. */
export async function loopDelay(pid: number, file: string): Promise<LoopDelay> {
  rmSync(file, { force: true });
  process.kill(pid, "SIGUSR2");
  for (const until = performance.now() + ANSWERS_MS; performance.now() < until;) {
    if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as LoopDelay;
    await pause(2);
  }
  throw new Error(`process ${pid} did not say how its event loop fared`);
}
