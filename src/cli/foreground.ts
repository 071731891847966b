import { SandboxerError } from "../contract/errors.ts";
import type { CommandLine, Ending, ExecOptions, Sandbox } from "../sdk/index.ts";
import { exitCodeOf, explain } from "./ending.ts";
import type { Interrupt } from "./interrupt.ts";
import { signalCode } from "./interrupt.ts";
import { write } from "./print.ts";
import { pipedStdin } from "./stdin.ts";
import { runOnTerminal } from "./terminal.ts";

/** How a command is run and shown. */
export interface ForegroundOptions {
  readonly cwd: string | undefined;
  readonly env: Record<string, string>;
  readonly user: string | undefined;
  readonly timeout: number | string | undefined;
  readonly interactive: boolean;
  readonly tty: boolean;
}

function execOptions(options: ForegroundOptions, interrupt: Interrupt): ExecOptions {
  const stdin = pipedStdin(options.interactive);
  return {
    env: options.env,
    signal: interrupt.signal,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
    ...(stdin === undefined ? {} : { stdin }),
  };
}

/**
 * Runs a command with our own standard streams; resolves with the exit code it deserves. A signal to us ends the
 * command's whole tree and gives 128+n; on a terminal (`tty`) keys and signals go to the command instead.
 */
export async function runInForeground(
  sandbox: Sandbox,
  command: CommandLine,
  options: ForegroundOptions,
  interrupt: Interrupt,
): Promise<number> {
  if (options.tty) return await runOnTerminal(sandbox, command, options, interrupt);
  let ending: Ending | undefined;
  try {
    for await (const event of sandbox.exec(command, execOptions(options, interrupt))) {
      if (event.type === "stdout") await write(process.stdout, event.data);
      else if (event.type === "stderr") await write(process.stderr, event.data);
      else if (event.type === "exited") ending = event;
    }
  } catch (thrown) {
    if (interrupt.by !== undefined && ["canceled", "EPIPE"].includes((thrown as { code?: string }).code ?? ""))
      return signalCode(interrupt.by);
    throw thrown;
  }
  if (ending === undefined) throw new SandboxerError("outcome_unknown", "the command's stream had no end");
  await explain(ending, sandbox, options.timeout === undefined ? undefined : String(options.timeout));
  return exitCodeOf(ending);
}

/** The same, collected into one document. */
export async function runForDocument(
  sandbox: Sandbox,
  command: CommandLine,
  options: ForegroundOptions,
  interrupt: Interrupt,
): Promise<{ document: object; code: number }> {
  const result = await sandbox.exec(command, execOptions(options, interrupt));
  const [stdout, stderr] = [textOrBase64(result.stdoutBytes), textOrBase64(result.stderrBytes)];
  const document = {
    exec_id: result.execId,
    outcome: result.outcome,
    exit_code: result.exitCode,
    signal: result.signal,
    oom_killed: result.oomKilled,
    truncated: result.truncated,
    stdout: stdout.text,
    stderr: stderr.text,
    encoding: { stdout: stdout.encoding, stderr: stderr.encoding },
    duration_ms: result.durationMs,
  };
  return { document, code: exitCodeOf(result) };
}

function textOrBase64(bytes: Uint8Array): { text: string; encoding: "utf8" | "base64" } {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), encoding: "utf8" };
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    return { text: Buffer.from(bytes).toString("base64"), encoding: "base64" };
  }
}
