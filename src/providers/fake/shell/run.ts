import { pathFromBytes } from "../../../contract/index.ts";
import { BrokenPipe, Channel, inputOf, orAborted } from "../channel.ts";
import { COMMANDS } from "../commands/index.ts";
import { Death } from "../task.ts";
import { TreeError } from "../tree-node.ts";
import { BUILTINS } from "./builtins.ts";
import { expand, expandOne } from "./expand.ts";
import { parse } from "./parse.ts";
import { openRedirects } from "./redirect.ts";
import { actorOf, childOf, complain, untilExit } from "./shell.ts";
import type { Interpreter, Shell, Streams } from "./shell.ts";
import { SyntaxProblem } from "./syntax.ts";
import type { CommandNode, Pipeline, Script } from "./syntax.ts";

/** Runs a command line in the shell itself; `exit` ends it with {@link ExitShell}. */
async function runScript(shell: Shell, script: Script): Promise<number> {
  for (const statement of script) {
    if (statement.background) {
      const { pid, done } = spawn(shell, { ...shell.streams, stdin: inputOf() }, (child) =>
        runScript(child, [{ ...statement, background: false }]),
      );
      shell.jobs.set(pid, done);
      shell.lastJob = pid;
      shell.status = 0;
      continue;
    }
    shell.status = await runPipeline(shell, statement.first);
    for (const { when, pipeline } of statement.rest) {
      if ((shell.status === 0) === (when === "&&")) shell.status = await runPipeline(shell, pipeline);
    }
  }
  return shell.status;
}

/** Reads and runs source text; a line that cannot be read has status 2. */
async function runSource(shell: Shell, source: string): Promise<number> {
  let script: Script;
  try {
    script = parse(source);
  } catch (problem) {
    if (!(problem instanceof SyntaxProblem)) throw problem;
    return await complain(shell, `sh: ${problem.message}`, 2);
  }
  return runScript(shell, script);
}

/** Runs argv, which a shell has taken apart or which was given as it is. */
async function runArgv(shell: Shell, argv: readonly string[]): Promise<number> {
  const [name = "", ...args] = argv;
  const builtin = BUILTINS[name];
  if (builtin !== undefined) return await builtin(shell, args);
  const plain = /^(?:\/usr)?\/bin\/([^/]+)$/.exec(name)?.[1] ?? name;
  const command = COMMANDS[plain];
  if (command !== undefined) {
    try {
      return await command(shell, args);
    } catch (problem) {
      if (problem instanceof TreeError) return await complain(shell, `${plain}: ${problem.path}: ${problem.message}`);
      throw problem;
    }
  }
  return await runFile(shell, name, args);
}

/** A script that stands in the sandbox's own files. */
async function runFile(shell: Shell, name: string, args: readonly string[]): Promise<number> {
  if (!name.includes("/")) return await complain(shell, `sh: ${name}: not found`, 127);
  const { node } = shell.sandbox.tree.place(name, actorOf(shell));
  if (node === undefined) return await complain(shell, `sh: ${name}: not found`, 127);
  if (node.kind !== "file" || (node.mode & 0o111) === 0) return await complain(shell, `sh: ${name}: Permission denied`, 126);
  const child = { ...childOf(shell, shell.task), args: [name, ...args] };
  return await untilExit(() => runSource(child, pathFromBytes(node.buffer.subarray(0, node.size)).replace(/^#![^\n]*/, "")));
}

/** Starts a child process of the same tree. `done` never rejects: a death is 128+n. */
function spawn(shell: Shell, streams: Streams, run: (child: Shell) => Promise<number>): { pid: number; done: Promise<number> } {
  const task = shell.task.job.spawn();
  const child = childOf(shell, task, streams);
  const settle = async (): Promise<number> => {
    try {
      return await untilExit(() => run(child));
    } catch (thrown) {
      if (thrown instanceof Death) return thrown.status;
      if (thrown instanceof BrokenPipe) return new Death("SIGPIPE").status;
      const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      await streams.stderr.write(
        new TextEncoder().encode(`fake: this is a fault of the fake backend: ${message}\n`),
        new AbortController().signal,
      );
      return 125;
    } finally {
      task.job.end(task);
    }
  };
  return { pid: task.pid, done: settle() };
}

async function runPipeline(shell: Shell, pipeline: Pipeline): Promise<number> {
  const [only, ...more] = pipeline.commands;
  const status = only !== undefined && more.length === 0 ? await runCommand(shell, only) : await runPiped(shell, pipeline.commands);
  return pipeline.negated ? Number(status === 0) : status;
}

async function runPiped(shell: Shell, commands: readonly CommandNode[]): Promise<number> {
  let stdin = shell.streams.stdin;
  const children = commands.map((command, index) => {
    const out = index === commands.length - 1 ? undefined : new Channel();
    const from = stdin;
    const piped = index > 0;
    const streams = { stdin: from, stdout: out ?? shell.streams.stdout, stderr: shell.streams.stderr };
    const { done } = spawn(shell, streams, (child) => runCommand(child, command));
    if (out !== undefined) stdin = out;
    return done.then((status) => {
      out?.end();
      if (piped) from.close();
      return status;
    });
  });
  const statuses = await orAborted(Promise.all(children), shell.task.signal);
  return statuses.at(-1) ?? 0;
}

async function runCommand(shell: Shell, node: CommandNode): Promise<number> {
  shell.task.signal.throwIfAborted();
  // Commands that never wait must not keep the event loop from timers and aborts.
  await new Promise(setImmediate);
  let streams: Streams;
  try {
    streams = await openRedirects(shell, node.redirects);
  } catch (problem) {
    if (problem instanceof TreeError) return await complain(shell, `sh: ${problem.path}: ${problem.message}`);
    throw problem;
  }
  if (node.kind === "group") {
    if (!node.subshell) return await withStreams(shell, streams, (inner) => runScript(inner, node.body));
    const { done } = spawn(shell, streams, (child) => runScript(child, node.body));
    return await orAborted(done, shell.task.signal);
  }
  const argv = (await Promise.all(node.words.map((word) => expand(shell, word)))).flat();
  const assigned: [string, string][] = [];
  for (const { name, value } of node.assignments) assigned.push([name, await expandOne(shell, value)]);
  if (argv.length === 0) {
    for (const [name, value] of assigned) (shell.env.has(name) ? shell.env : shell.variables).set(name, value);
    return 0;
  }
  if (assigned.length === 0) return await withStreams(shell, streams, (inner) => runArgv(inner, argv));
  const env = new Map([...shell.env, ...assigned]);
  return await withStreams(shell, streams, (inner) => runArgv({ ...inner, env }, argv));
}

/** The same shell with other streams: what it changes of itself (cwd, variables) stays. */
async function withStreams(shell: Shell, streams: Streams, run: (inner: Shell) => Promise<number>): Promise<number> {
  const inner: Shell = { ...shell, streams };
  try {
    return await run(inner);
  } finally {
    shell.cwd = inner.cwd;
    shell.lastJob = inner.lastJob;
    shell.status = inner.status;
  }
}

/** What every shell of the fake runs with. */
export const INTERPRETER: Interpreter = { runSource, runArgv, spawn };
