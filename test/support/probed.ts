import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** For one run: what the tests say of a probe is never of an earlier one's code. */
const KEPT = join(import.meta.dirname, "../../node_modules/.cache/probed");

const nameOf = (runtimes: readonly string[] | undefined): string => join(KEPT, `${runtimes?.join("-") ?? "all"}.json`);

/** Before a run: nothing is known of this machine. */
export function forgetProbes(): void {
  rmSync(KEPT, { recursive: true, force: true });
}

/**
 * Gives a new directory of the local backend what another one's probe of the same runtimes has found: to try them all takes a second of the
 * processor's time, and hundreds of tests have directories of their own. The backend looks itself whether that still holds.
 */
export function takeProbes(directory: string, runtimes?: readonly string[]): void {
  if (!existsSync(nameOf(runtimes)) || existsSync(join(directory, "probe.json"))) return;
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  copyFileSync(nameOf(runtimes), join(directory, "probe.json"));
}

/** Leaves for others what was found. Several at once do no harm. */
export function leaveProbes(directory: string, runtimes?: readonly string[]): void {
  const found = join(directory, "probe.json");
  if (!existsSync(found) || existsSync(nameOf(runtimes))) return;
  mkdirSync(KEPT, { recursive: true });
  const draft = `${nameOf(runtimes)}.${process.pid}`;
  copyFileSync(found, draft);
  renameSync(draft, nameOf(runtimes));
}
