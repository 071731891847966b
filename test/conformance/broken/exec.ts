import type { Command, ExecEvent, ExecOptions, Provider } from "../../../src/contract/index.ts";

type Exec = Provider["exec"];

/** The provider with another exec, which is given the true one. */
const withExec =
  (exec: (real: Exec, ...args: Parameters<Exec>) => AsyncIterable<ExecEvent>) =>
  (provider: Provider): Provider => ({ ...provider, exec: (...args) => exec((...real) => provider.exec(...real), ...args) });

/** The same events, each changed or dropped. */
const mapped = (change: (event: ExecEvent) => ExecEvent | undefined) =>
  withExec(async function* (real, ...args) {
    for await (const event of real(...args)) {
      const changed = change(event);
      if (changed !== undefined) yield changed;
    }
  });

const command = (change: (command: Command, options: ExecOptions) => [Command, ExecOptions]) =>
  withExec((real, ref, given, options, op) => real(ref, ...change(given, options), op));

async function* endless(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array();
  await new Promise(() => undefined);
}

/** Execs that are wrong in one way each, by what they do wrong. */
export const BROKEN_EXECS = {
  fakesExitZero: mapped((event) => (event.type === "exited" ? { ...event, outcome: "exited", exitCode: 0, signal: null } : event)),
  neverEnds: mapped((event) => (event.type === "exited" ? undefined : event)),
  startsTwice: withExec(async function* (real, ...args) {
    yield { type: "started" };
    yield* real(...args);
  }),
  ignoresCwd: command(({ cwd: _ignored, ...rest }, options) => [rest, options]),
  ignoresEnv: command(({ env: _ignored, ...rest }, options) => [rest, options]),
  ignoresUser: command(({ user: _ignored, ...rest }, options) => [rest, options]),
  ignoresTimeout: command(({ timeoutMs: _ignored, ...rest }, options) => [rest, options]),
  joinsArgv: command((given, options) => ["argv" in given.run ? { ...given, run: { shell: given.run.argv.join(" ") } } : given, options]),
  leavesStdinOpen: command((given, options) => [
    given,
    options.stdin.kind === "none" ? { ...options, stdin: { kind: "pipe", stream: endless() } } : options,
  ]),
  buffersStdin: withExec(async function* (real, ref, given, options, op) {
    const all: Uint8Array[] = [];
    if (options.stdin.kind === "pipe") for await (const chunk of options.stdin.stream) all.push(chunk);
    yield* real(
      ref,
      given,
      options.stdin.kind === "pipe" ? { ...options, stdin: { kind: "bytes", bytes: Buffer.concat(all) } } : options,
      op,
    );
  }),
  mergesStderr: mapped((event) => (event.type === "stderr" ? { type: "stdout", data: event.data } : event)),
  dropsStderr: mapped((event) => (event.type === "stderr" ? undefined : event)),
  manglesBinary: mapped((event) =>
    event.type === "stdout" ? { type: "stdout", data: Buffer.from(Buffer.from(event.data).toString("utf8")) } : event,
  ),
  dropsLastChunk: withExec(async function* (real, ...args) {
    let held: ExecEvent | undefined;
    for await (const event of real(...args)) {
      if (event.type === "exited") held = held?.type === "stdout" ? undefined : held;
      if (held !== undefined) yield held;
      held = event;
    }
    if (held !== undefined) yield held;
  }),
  buffersAllOutput: withExec(async function* (real, ...args) {
    const all: ExecEvent[] = [];
    for await (const event of real(...args)) all.push(event);
    yield* all;
  }),
  hidesTruncation: mapped((event) => (event.type === "exited" ? { ...event, truncated: false } : event)),
  ignoresCap: command((given, options) => [given, { ...options, maxOutputBytes: Number.MAX_SAFE_INTEGER }]),
  flagsTruncationAtTheCap: withExec(async function* (real, ref, given, options, op) {
    let size = 0;
    for await (const event of real(ref, given, options, op)) {
      if (event.type === "stdout") size += event.data.length;
      yield event.type === "exited" ? { ...event, truncated: size >= options.maxOutputBytes } : event;
    }
  }),
  hidesSignals: mapped((event) =>
    event.type === "exited" && event.signal !== null ? { ...event, outcome: "exited", exitCode: 1, signal: null } : event,
  ),
  ignoresAbort: withExec((real, ref, given, options, op) => real(ref, given, options, { ...op, signal: new AbortController().signal })),
  swallowsAbort: withExec(async function* (real, ref, given, options, op) {
    try {
      yield* real(ref, given, options, op);
    } catch (thrown) {
      if (!op.signal.aborted) throw thrown;
    }
  }),
};

/** Runs a command in the background and, at its time, only looks away: the parent dies for the caller, its tree lives on. */
export const timeoutKillsOnlyTheClient = withExec(async function* (real, ref, { timeoutMs, ...rest }, options, op) {
  if (timeoutMs === undefined) {
    yield* real(ref, rest, options, op);
    return;
  }
  const abandoned = new AbortController();
  const events = real(ref, rest, options, { ...op, signal: abandoned.signal })[Symbol.asyncIterator]();
  const over = new Promise<"over">((resolve) => setTimeout(resolve, timeoutMs, "over"));
  for (;;) {
    const next = await Promise.race([events.next(), over]);
    if (next === "over") {
      yield { type: "exited", outcome: "timed_out", exitCode: null, signal: "SIGKILL", oomKilled: false, truncated: false };
      return;
    }
    if (next.done === true) return;
    yield next.value;
  }
});
