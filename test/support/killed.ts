import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Starts one of the tests' own programs under this Node. Its errors go where the test's go. */
export function startChild(file: string, base: string, args: readonly string[], stdout: "ignore" | "pipe" = "ignore"): ChildProcess {
  const program = fileURLToPath(new URL(file, base));
  return spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...args], { stdio: ["ignore", stdout, "inherit"] });
}

/** How a child ended: its exit code, or the signal. */
export async function endOfChild(child: ChildProcess): Promise<number | string | null> {
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  return signal ?? code;
}

/** Waits until `look` has something to answer. The test's own time limit ends it otherwise. */
export async function eventually<T>(look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
