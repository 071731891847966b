import { runOk } from "../run.ts";

const REMOVES_WITHIN_MS = 600_000;

/** Removes a tree of a sandbox's making: it may be deeper than a path can name, which rm(1) walks and Node does not. Safe to repeat. */
export async function removeTree(path: string): Promise<void> {
  await runOk(["rm", "-rf", "--", path], { timeoutMs: REMOVES_WITHIN_MS });
}
