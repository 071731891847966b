import {
  type Command,
  type End,
  type EventType,
  newId,
  type OutputChunk,
  parse,
  type Principal,
  type ProcessInfo,
  ProcessRequest,
  type Processes,
  type ProcessStatus,
  SandboxerError,
} from "../contract/index.ts";
import {
  appendEvent,
  deleteProcess,
  findProcess,
  findSandbox,
  insertProcess,
  listProcesses,
  type ProcessRow,
  updateProcess,
} from "../ledger/index.ts";
import { accessibleSandbox } from "./access.ts";
import { type Context, neverAborted, op } from "./context.ts";
import type { Engine } from "./engine.ts";
import { allow } from "./lifecycle.ts";
import { waitForProcess } from "./process-wait.ts";
import { requireCapability, streaming, type Usable, used, using } from "./use.ts";

const DEFAULT_JOURNAL_BYTES = 64 * 1024 ** 2;
/** For so long a row without a process may be one that another engine is starting. */
const STARTING_MS = 60_000;

type EndInfo = NonNullable<ProcessInfo["end"]>;

function toEnd(end: End): EndInfo {
  return { outcome: end.outcome, exit_code: end.exitCode, signal: end.signal, oom_killed: end.oomKilled, truncated: end.truncated };
}

function toInfo(row: ProcessRow): ProcessInfo {
  const { tag = null, ...command } = JSON.parse(row.command) as ProcessInfo["command"] & { tag?: string };
  return {
    id: row.id,
    object: "process",
    sandbox_id: row.sandbox_id,
    number: row.number,
    tag,
    command,
    pty: row.pty === 1,
    state: row.ended_at === null ? "running" : "ended",
    started_at: new Date(row.started_at).toISOString(),
    ended_at: row.ended_at === null ? null : new Date(row.ended_at).toISOString(),
    end: row.end === null ? null : (JSON.parse(row.end) as EndInfo),
    output_bytes: row.output_bytes,
  };
}

/** The backend's processes, and the sandbox that has them. */
interface Target extends Usable {
  readonly processes: Processes;
}

async function target(ctx: Context, who: Principal, id: string): Promise<Target> {
  const found = await used(ctx, who, id);
  requireCapability(found, "exec.background", "processes");
  const { processes } = found.provider;
  if (processes === undefined)
    throw new SandboxerError("capability_unsupported", `backend ${found.row.backend} has no background processes`, {
      backend: found.row.backend,
    });
  return { ...found, processes };
}

async function knownRow(ctx: Context, sandboxId: string, id: string): Promise<ProcessRow> {
  const row = await findProcess(ctx.ledger.db, sandboxId, id);
  if (row === undefined) throw new SandboxerError("process_not_found", `sandbox ${sandboxId} has no process ${id}`);
  return row;
}

/** Writes down what the backend sees; the first sight of an end is also an event. */
async function observe(ctx: Context, row: ProcessRow, status: ProcessStatus, tenant: string): Promise<ProcessRow> {
  if (row.ended_at !== null || (status.running && status.outputBytes === row.output_bytes)) return row;
  if (status.running) return { ...row, output_bytes: status.outputBytes };
  const end = status.end === null ? null : toEnd(status.end);
  const seen = {
    ended_at: status.endedAt ?? ctx.clock.now(),
    end: end === null ? null : JSON.stringify(end),
    output_bytes: status.outputBytes,
  };
  await ctx.ledger.transaction(async (tx) => {
    const current = await findProcess(tx, row.sandbox_id, row.id);
    if (current?.ended_at !== null) return;
    await updateProcess(tx, row.id, seen);
    await appendEvent(tx, {
      type: "process.ended",
      at: ctx.clock.now(),
      tenant,
      sandboxId: row.sandbox_id,
      data: { process_id: row.id, ...end },
    });
  });
  return { ...row, ...seen };
}

/** One that the backend does not know, long after its start: its starter died before it ran, so how it ended is not known. */
async function vanished(ctx: Context, row: ProcessRow): Promise<ProcessRow> {
  const now = ctx.clock.now();
  if (row.ended_at !== null || now - row.started_at < STARTING_MS) return row;
  const end: EndInfo = { outcome: "unknown", exit_code: null, signal: null, oom_killed: false, truncated: false };
  const seen = { ended_at: now, end: JSON.stringify(end) };
  await ctx.ledger.transaction(async (tx) => {
    await updateProcess(tx, row.id, seen);
    await appendEvent(tx, {
      type: "process.ended",
      at: now,
      tenant: row.tenant,
      sandboxId: row.sandbox_id,
      data: { process_id: row.id, ...end },
    });
  });
  return { ...row, ...seen };
}

function toCommand(id: string, request: ReturnType<typeof readRequest>): Command {
  const { argv, shell, cwd, env, user, timeout } = request;
  return {
    id,
    run: argv === undefined ? { shell: shell ?? "" } : { argv },
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    ...(user === undefined ? {} : { user }),
    ...(timeout === undefined ? {} : { timeoutMs: Math.ceil(timeout * 1000) }),
  };
}

const readRequest = (input: ProcessRequest) => parse(ProcessRequest, input, { what: "process" });

async function start(ctx: Context, who: Principal, id: string, input: ProcessRequest): Promise<ProcessInfo> {
  const request = readRequest(input);
  const at = await target(ctx, who, id);
  if (request.pty !== undefined) requireCapability(at, "exec.pty", "pty");
  if (request.user !== undefined) requireCapability(at, "exec.user", "user");
  const { argv, shell, cwd, tag } = request;
  const row: Omit<ProcessRow, "number"> = {
    id: newId("process"),
    sandbox_id: id,
    tenant: at.row.tenant,
    command: JSON.stringify({
      ...(argv === undefined ? { shell } : { argv }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(tag === undefined ? {} : { tag }),
    }),
    pty: request.pty === undefined ? 0 : 1,
    started_at: ctx.clock.now(),
    ended_at: null,
    end: null,
    output_bytes: 0,
  };
  const event = (type: EventType, data: object = {}) => ({
    type,
    at: ctx.clock.now(),
    tenant: row.tenant,
    sandboxId: id,
    data: { process_id: row.id, ...data },
  });
  const written = await ctx.ledger.transaction(async (tx) => {
    const sandbox = await findSandbox(tx, id);
    if (sandbox !== undefined) allow(sandbox, "use");
    const numbered = await insertProcess(tx, row);
    await appendEvent(tx, event("process.started", { program: argv?.[0] ?? "sh", pty: row.pty === 1 }));
    return numbered;
  });
  ctx.failpoint("process.after_row");
  const options = {
    ...(request.pty === undefined ? {} : { pty: request.pty }),
    stdin: request.stdin ?? "none",
    maxOutputBytes: request.max_output_bytes ?? DEFAULT_JOURNAL_BYTES,
  };
  try {
    await using(ctx, at, "process", () => at.processes.start(at.ref, toCommand(row.id, request), options, op(ctx)));
  } catch (thrown) {
    const error = SandboxerError.from(thrown);
    await ctx.ledger.transaction(async (tx) => {
      await deleteProcess(tx, row.id);
      await appendEvent(tx, event("process.failed", { error: error.code }));
    });
    throw error;
  }
  ctx.failpoint("process.after_start");
  return toInfo(written);
}

async function status(ctx: Context, at: Target, row: ProcessRow): Promise<ProcessRow> {
  const seen = await using(ctx, at, "process", () => at.processes.status(at.ref, row.id, op(ctx)));
  if (seen === "absent") return vanished(ctx, row);
  return observe(ctx, row, seen, row.tenant);
}

async function get(ctx: Context, who: Principal, id: string, processId: string): Promise<ProcessInfo> {
  const sandbox = await accessibleSandbox(ctx, who, id);
  const row = await knownRow(ctx, id, processId);
  // What has ended and what has no backend any more is told from the ledger.
  if (row.ended_at !== null || sandbox.state !== "ready") return toInfo(row);
  return toInfo(await status(ctx, await target(ctx, who, id), row));
}

async function list(ctx: Context, who: Principal, id: string): Promise<ProcessInfo[]> {
  const sandbox = await accessibleSandbox(ctx, who, id);
  const rows = await listProcesses(ctx.ledger.db, id);
  if (sandbox.state !== "ready" || rows.every((row) => row.ended_at !== null)) return rows.map(toInfo);
  const at = await target(ctx, who, id);
  const seen = new Map((await using(ctx, at, "process", () => at.processes.list(at.ref, op(ctx)))).map((one) => [one.id, one]));
  const infos: ProcessInfo[] = [];
  for (const row of rows) {
    const one = seen.get(row.id);
    infos.push(toInfo(one === undefined ? await vanished(ctx, row) : await observe(ctx, row, one, row.tenant)));
  }
  return infos;
}

/** Writes down an end that passes by, without making its reader wait: who asks later finds it in the ledger. */
async function* noticing(ctx: Context, at: Target, row: ProcessRow, output: AsyncIterable<OutputChunk>): AsyncGenerator<OutputChunk> {
  for await (const chunk of output) {
    if (chunk.type === "ended") {
      ctx.live.background(
        status(ctx, at, row).then(
          () => {},
          (thrown: unknown) => ctx.log.debug({ process: row.id, error: String(thrown) }, "an end that passed by could not be written"),
        ),
      );
    }
    yield chunk;
  }
}

export function processes(ctx: Context): Engine["processes"] {
  const act = async (who: Principal, id: string, processId: string, call: (at: Target) => Promise<void>) => {
    const at = await target(ctx, who, id);
    await knownRow(ctx, id, processId);
    await using(ctx, at, "process", () => call(at));
  };
  return {
    start: (who, id, request) => start(ctx, who, id, request),
    list: (who, id) => list(ctx, who, id),
    get: (who, id, processId) => get(ctx, who, id, processId),
    async wait(who, id, processId, timeoutSeconds, signal = neverAborted()) {
      const info = await get(ctx, who, id, processId);
      if (info.state === "ended") return info;
      const at = await target(ctx, who, id);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutSeconds * 1000))]);
      await using(ctx, at, "process", () => waitForProcess(ctx, at, processId, info.output_bytes, limit));
      return get(ctx, who, id, processId);
    },
    async output(who, id, processId, from, signal = neverAborted()): Promise<AsyncIterable<OutputChunk>> {
      const at = await target(ctx, who, id);
      const row = await knownRow(ctx, id, processId);
      await ctx.activity.touch(at.row);
      const output = at.processes.output(at.ref, processId, from, op(ctx, signal));
      return streaming(ctx, at, "process", row.ended_at === null ? noticing(ctx, at, row, output) : output);
    },
    signal: (who, id, processId, signal) => act(who, id, processId, (at) => at.processes.signal(at.ref, processId, signal, op(ctx))),
    write: (who, id, processId, data) => act(who, id, processId, (at) => at.processes.write(at.ref, processId, data, op(ctx))),
    closeStdin: (who, id, processId) => act(who, id, processId, (at) => at.processes.closeStdin(at.ref, processId, op(ctx))),
    resize: (who, id, processId, size) => act(who, id, processId, (at) => at.processes.resize(at.ref, processId, size, op(ctx))),
  };
}
