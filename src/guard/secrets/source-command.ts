import { spawn } from "node:child_process";
import { MAX_SECRET_BYTES } from "../../contract/index.ts";
import { unusable, valueOf } from "./value.ts";

/** For a command to give its value and close its output. */
const COMMAND_MS = 10_000;
const MAX_BYTES = MAX_SECRET_BYTES + 2;

/**
 * The standard output of a program of this host: no shell, nothing on its standard input, its standard error to nowhere, and the
 * server's environment without our own variables. Its whole process group ends with the time or when it says too much.
 *
 * @throws SandboxerError `secret_unavailable`; of the command line it names the program alone.
 */
export async function readCommandSource(argv: readonly string[], signal: AbortSignal, limitMs = COMMAND_MS): Promise<string> {
  const [program = "", ...rest] = argv;
  const what = `the command "${program}"`;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SANDBOXER_")));
  const child = spawn(program, rest, { env, cwd: "/", detached: true, stdio: ["ignore", "pipe", "ignore"] });
  const pieces: Buffer[] = [];
  let bytes = 0;
  let ended: string | undefined;
  const end = (why: string): void => {
    if (ended !== undefined) return;
    ended = why;
    endGroup(child.pid);
    // Who left the group may hold the other end open for ever.
    child.stdout.destroy();
  };
  child.stdout.on("data", (piece: Buffer) => {
    pieces.push(piece);
    if ((bytes += piece.byteLength) > MAX_BYTES) end(`wrote more than ${MAX_SECRET_BYTES} bytes`);
  });
  const timer = setTimeout(() => end(`gave no value within ${limitMs / 1000} s`), limitMs);
  const leave = (): void => end("was given up, as the caller went away");
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => reject(unusable(what, `cannot be run (${error.code ?? "unknown"})`)));
      child.once("close", (code, by) => resolve(code ?? by));
    });
    if (ended !== undefined) throw unusable(what, ended);
    if (code !== 0) throw unusable(what, typeof code === "number" ? `failed with exit code ${code}` : `was ended by ${String(code)}`);
    return valueOf(Buffer.concat(pieces), `the output of ${what}`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (thrown) {
    // Gone by itself in this moment.
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}
