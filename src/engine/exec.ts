import { type Command, type End, type ExecEvent, newId, type Principal, SandboxerError, type Span } from "../contract/index.ts";
import { appendEvent, finishExec, insertExec, type SandboxRow, updateSandbox } from "../ledger/index.ts";
import { usedAt } from "./activity.ts";
import { type Context, neverAborted, op } from "./context.ts";
import type { ExecInput } from "./engine.ts";
import { move } from "./lifecycle.ts";
import { lookAgain } from "./observe.ts";
import { explain, requireCapability, type Usable, used } from "./use.ts";

const KILLED: End = { outcome: "killed", exitCode: null, signal: null, oomKilled: false, truncated: false };

interface Running {
  readonly target: Usable;
  readonly execId: string;
  readonly began: number;
  /** Aborted when the sandbox ends. */
  readonly ended: AbortController;
  readonly caller: AbortSignal;
  readonly done: () => void;
  readonly span: Span;
}

function toCommand(id: string, input: ExecInput): Command {
  return {
    id,
    run: input.argv === undefined ? { shell: input.shell ?? "" } : { argv: input.argv },
    ...(input.cwd === undefined ? {} : { cwd: input.cwd }),
    ...(input.env === undefined ? {} : { env: input.env }),
    ...(input.user === undefined ? {} : { user: input.user }),
    ...(input.timeout === undefined ? {} : { timeoutMs: Math.ceil(input.timeout * 1000) }),
  };
}

function checkCapabilities(target: Usable, input: ExecInput): void {
  if (input.user !== undefined) requireCapability(target, "exec.user", "user");
  if (input.timeout !== undefined) requireCapability(target, "exec.timeout", "timeout");
  if (input.stdin.kind !== "none") requireCapability(target, "exec.stdin", "stdin");
  if (input.cwd !== undefined || input.env !== undefined)
    requireCapability(target, "exec.cwd_env", input.cwd === undefined ? "env" : "cwd");
}

/** The row and `exec.started` before the backend is asked. The program's name is kept; arguments may hold secrets. */
async function begin(ctx: Context, row: SandboxRow, execId: string, input: ExecInput): Promise<void> {
  const at = ctx.clock.now();
  ctx.failpoint("exec.before_row");
  await ctx.ledger.transaction(async (tx) => {
    const current = await move(tx, row.id, "use", { at, patch: usedAt(row, at) });
    await insertExec(tx, { id: execId, sandboxId: current.id, tenant: current.tenant, owner: ctx.instance, at });
    await appendEvent(tx, {
      type: "exec.started",
      at,
      tenant: row.tenant,
      sandboxId: row.id,
      data: { exec_id: execId, program: input.argv?.[0] ?? "sh" },
    });
  });
  ctx.failpoint("exec.after_row");
}

async function finish(ctx: Context, { target: { row }, execId, began, span }: Running, end: End, error?: SandboxerError): Promise<void> {
  const at = ctx.clock.now();
  ctx.failpoint("exec.before_finish");
  span.set({ outcome: end.outcome, ...(end.exitCode === null ? {} : { exit_code: end.exitCode }) });
  span.end(error?.code);
  const written = ctx.ledger.transaction(async (tx) => {
    if (!(await finishExec(tx, execId, { at, outcome: end.outcome, exitCode: end.exitCode }))) return;
    await updateSandbox(tx, row.id, usedAt(row, at));
    const data = {
      exec_id: execId, outcome: end.outcome, exit_code: end.exitCode, signal: end.signal, oom_killed: end.oomKilled, truncated: end.truncated,
      duration_ms: Math.round(performance.now() - began), ...(error === undefined ? {} : { error: error.code }),
    }; // prettier-ignore
    await appendEvent(tx, { type: "exec.finished", at, tenant: row.tenant, sandboxId: row.id, data });
  });
  try {
    await written;
  } catch (thrown) {
    // How the command ended is known: the caller is told, and the sweep closes the row.
    if (!(thrown instanceof SandboxerError) || thrown.code !== "storage_unavailable") throw thrown;
    ctx.log.error({ sandbox: row.id, exec: execId, error: thrown.message }, "the end of an exec could not be written");
  }
  ctx.failpoint("exec.after_finish");
  ctx.measure.count("sandboxer_execs_total", { backend: row.backend, outcome: end.outcome });
}

/** A kill may have been the sandbox's end: look, without making the caller wait. */
function lookLater(ctx: Context, row: SandboxRow, end: End): void {
  if (!end.oomKilled && end.outcome !== "killed" && end.outcome !== "unknown" && end.exitCode !== 137) return;
  ctx.live.background(
    lookAgain(ctx, row).then(
      () => {},
      (thrown: unknown) =>
        ctx.log.warn({ sandbox: row.id, error: String(thrown) }, "the backend does not say how the sandbox stands after a kill"),
    ),
  );
}

/** How it stands when the stream broke or stopped: the sandbox's own end is a kill, all else is not known. */
async function broken(ctx: Context, running: Running, thrown: unknown): Promise<{ end: End; error: SandboxerError | undefined }> {
  const { target, ended, caller, execId } = running;
  if (ended.signal.aborted) return { end: KILLED, error: undefined };
  if (caller.aborted)
    return { end: KILLED, error: new SandboxerError("canceled", "the caller went away, and the command was killed", { phase: "exec" }) };
  const error =
    thrown === undefined
      ? new SandboxerError("outcome_unknown", `the stream of exec ${execId} ended before the command's end was seen`, {
          phase: "exec",
          backend: target.row.backend,
        })
      : await explain(ctx, target.row, "exec", thrown);
  return { end: { ...KILLED, outcome: "unknown" }, error };
}

async function* follow(
  ctx: Context,
  running: Running,
  first: IteratorResult<ExecEvent>,
  stream: AsyncIterator<ExecEvent>,
): AsyncGenerator<ExecEvent> {
  const { row } = running.target;
  let end: End | undefined;
  try {
    let thrown: unknown;
    try {
      for (let next = first; next.done !== true; next = await stream.next()) {
        if (next.value.type === "exited") {
          end = next.value;
          break;
        }
        yield next.value;
        if (next.value.type !== "started") await ctx.activity.touch(row);
      }
    } catch (caught) {
      thrown = caught;
    }
    let error: SandboxerError | undefined;
    if (end === undefined) ({ end, error } = await broken(ctx, running, thrown));
    await finish(ctx, running, end, error);
    lookLater(ctx, row, end);
    if (error !== undefined) throw error;
    yield {
      type: "exited",
      outcome: end.outcome,
      exitCode: end.exitCode,
      signal: end.signal,
      oomKilled: end.oomKilled,
      truncated: end.truncated,
    };
  } finally {
    await stream.return?.();
    // The caller stopped reading: returning the backend's stream has killed the command.
    if (end === undefined) await finish(ctx, running, KILLED);
    running.done();
  }
}

/**
 * Runs a command. Resolves once it runs, so that what cannot start is an error and not a stream; the rest comes through
 * `events`, which the caller must read or return.
 */
export async function exec(
  ctx: Context,
  who: Principal,
  id: string,
  input: ExecInput,
  caller: AbortSignal = neverAborted(),
): Promise<{ execId: string; events: AsyncIterable<ExecEvent> }> {
  const began = performance.now();
  const target = await used(ctx, who, id);
  checkCapabilities(target, input);
  const execId = newId("exec");
  const ended = new AbortController();
  // Known as running before its row can be seen, so that no sweep takes it for abandoned.
  const span = ctx.telemetry.begin("sandbox.exec", { "sandbox.id": id, "exec.id": execId, backend: target.row.backend });
  const running: Running = { target, execId, began, ended, caller, span, done: ctx.live.beginExec(execId, target.row.id, ended) };
  try {
    await begin(ctx, target.row, execId, input);
  } catch (thrown) {
    span.end(SandboxerError.from(thrown).code);
    running.done();
    throw thrown;
  }
  const signal = AbortSignal.any([caller, ended.signal]);
  const options = { stdin: input.stdin, maxOutputBytes: input.maxOutputBytes };
  const output = target.provider.exec(target.ref, toCommand(execId, input), options, op(ctx, signal));
  const stream = output[Symbol.asyncIterator]();
  try {
    const first = await stream.next();
    ctx.failpoint("exec.after_start");
    ctx.measure.latency(target.row.backend, "exec_start", performance.now() - began);
    return { execId, events: follow(ctx, running, first, stream) };
  } catch (thrown) {
    const { end, error } = await broken(ctx, running, thrown);
    await finish(ctx, running, end, error);
    running.done();
    throw error ?? new SandboxerError("wrong_state", `sandbox ${id} ended before the command ran`, { phase: "exec" });
  }
}
