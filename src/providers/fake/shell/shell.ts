import { pathFromBytes, pathToBytes } from "../../../contract/index.ts";
import type { Input, Output } from "../channel.ts";
import type { FakeSandbox, User } from "../sandbox.ts";
import type { Task } from "../task.ts";
import type { Terminal } from "../terminal.ts";
import type { Actor } from "../tree.ts";

/** Where a command's three streams go. */
export interface Streams {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** Runs things: what commands and expansions need of the shell's own machinery. Part of {@link Shell}, so nobody imports it back. */
export interface Interpreter {
  /** Reads and runs source text; a line that cannot be read has status 2. `exit` ends it with {@link ExitShell}. */
  runSource(shell: Shell, source: string): Promise<number>;
  /** Runs argv, which a shell has taken apart or which was given as it is. */
  runArgv(shell: Shell, argv: readonly string[]): Promise<number>;
  /** Starts a child process of the same tree. `done` never rejects: a death is 128+n. */
  spawn(shell: Shell, streams: Streams, run: (child: Shell) => Promise<number>): { pid: number; done: Promise<number> };
}

/** A running shell, or one command in it: all that its process has. Text is in the form of contract/path, so bytes survive. */
export interface Shell {
  readonly interpreter: Interpreter;
  readonly sandbox: FakeSandbox;
  readonly task: Task;
  readonly user: User;
  readonly streams: Streams;
  readonly terminal: Terminal | undefined;
  /** Exported variables; what commands see as their environment. */
  readonly env: Map<string, string>;
  /** Variables of the shell alone. */
  readonly variables: Map<string, string>;
  /** `$0`, `$1`, ... */
  readonly args: readonly string[];
  readonly jobs: Map<number, Promise<number>>;
  cwd: string;
  status: number;
  lastJob: number | undefined;
}

/** A command: gets its words without its name, answers its exit status. */
export type CommandFunction = (shell: Shell, args: readonly string[]) => Promise<number> | number;

/** `exit`: ends the shell that runs it. */
export class ExitShell extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

/** The status of a shell that may end by `exit`. */
export async function untilExit(run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (thrown) {
    if (thrown instanceof ExitShell) return thrown.status;
    throw thrown;
  }
}

/** A copy of a shell with what a child process would have of its own. */
export function childOf(shell: Shell, task: Task, streams: Streams = shell.streams): Shell {
  return { ...shell, task, streams, env: new Map(shell.env), variables: new Map(shell.variables), jobs: new Map(), lastJob: undefined };
}

export function actorOf(shell: Shell): Actor {
  return { cwd: shell.cwd, uid: shell.user.uid };
}

/** Writes text to standard output. */
export function print(shell: Shell, text: string): Promise<void> {
  return shell.streams.stdout.write(pathToBytes(text), shell.task.signal);
}

/** Writes a line to standard error and answers the status. */
export async function complain(shell: Shell, message: string, status = 1): Promise<number> {
  await shell.streams.stderr.write(pathToBytes(`${message}\n`), shell.task.signal);
  return status;
}

/** Reads standard input to its end. */
export async function readAll(shell: Shell): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (
    let chunk = await shell.streams.stdin.read(shell.task.signal);
    chunk !== null;
    chunk = await shell.streams.stdin.read(shell.task.signal)
  )
    chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads one line without its newline, or null at the end. */
export async function readLine(shell: Shell): Promise<string | null> {
  const line: Uint8Array[] = [];
  for (;;) {
    const chunk = await shell.streams.stdin.read(shell.task.signal);
    if (chunk === null) return line.length === 0 ? null : pathFromBytes(Buffer.concat(line));
    const newline = chunk.indexOf(10);
    line.push(newline < 0 ? chunk : chunk.subarray(0, newline));
    if (newline < 0) continue;
    shell.streams.stdin.unread(chunk.subarray(newline + 1));
    return pathFromBytes(Buffer.concat(line));
  }
}
