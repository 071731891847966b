import { spawn } from "node:child_process";
import { SandboxerError } from "../../contract/index.ts";

/** What a program answered. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Bytes kept of each stream: enough for any answer of the programs called here, and a bound on a runaway one. */
const KEEP = 8 * 1024 * 1024;

/**
 * Runs a host program to its end and answers what it said, whatever its exit code. Nothing of the host's environment but
 * PATH is passed on. Throws `backend_unavailable` where it cannot be started, and `timeout` where it takes too long
 * (it is killed then).
 */
export function run(
  argv: readonly string[],
  options: { timeoutMs?: number; signal?: AbortSignal; input?: string | Uint8Array; encoding?: BufferEncoding } = {},
): Promise<Finished> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
      ...(options.signal === undefined ? {} : { signal: options.signal, killSignal: "SIGKILL" as const }),
    });
    const chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
    let kept = 0;
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.on("data", (chunk: Buffer) => {
        if (kept < KEEP) chunks[stream].push(chunk);
        kept += chunk.length;
      });
    }
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, options.timeoutMs ?? 30_000);
    child.on("error", (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (cause.name === "AbortError") reject(cause);
      else reject(new SandboxerError("backend_unavailable", `cannot start ${program}: ${cause.code ?? cause.message}`, { cause }));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (timedOut) reject(new SandboxerError("timeout", `${program} did not finish in ${options.timeoutMs ?? 30_000} ms`));
      else
        resolve({
          code,
          signal,
          stdout: Buffer.concat(chunks.stdout).toString(options.encoding),
          stderr: Buffer.concat(chunks.stderr).toString(),
        });
    });
    if (options.input !== undefined) {
      // A program that ends before it has read its input is judged by its exit code.
      child.stdin?.on("error", () => child.stdin?.destroy());
      child.stdin?.end(options.input);
    }
  });
}

/** {@link run}, where anything but exit 0 is `backend_unavailable` with the program's last words. */
export async function runOk(argv: readonly string[], options: Parameters<typeof run>[1] = {}): Promise<string> {
  const finished = await run(argv, options);
  if (finished.code !== 0) {
    const words = finished.stderr.trim().split("\n").slice(-3).join("; ");
    throw new SandboxerError(
      "backend_unavailable",
      `${argv.slice(0, 3).join(" ")} failed (${finished.signal ?? `exit ${finished.code}`}): ${words}`,
    );
  }
  return finished.stdout;
}
