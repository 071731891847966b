import { type Action, type EventType, isTerminal, SandboxerError, TRANSITIONS } from "../contract/index.ts";
import {
  appendEvent,
  closeUsage,
  type Db,
  endProcesses,
  findSandbox,
  finishExec,
  insertSandbox,
  markRest,
  type NewSandboxRow,
  openExecs,
  openUsage,
  releaseIdempotent,
  type SandboxPatch,
  type SandboxRow,
  updateSandbox,
} from "../ledger/index.ts";
import { settleOpen } from "./money/settle.ts";

/** The event each move is told by; a use is told by its own verb. */
const EVENT: Readonly<Partial<Record<Action, EventType>>> = {
  renew: "sandbox.renewed",
  mark_ready: "sandbox.ready",
  pause: "sandbox.paused",
  resume: "sandbox.resumed",
  suspend: "sandbox.suspended",
  wake: "sandbox.woken",
  stop: "sandbox.stopping",
  confirm_gone: "sandbox.terminated",
  fail: "sandbox.failed",
  lose: "sandbox.lost",
  recover: "sandbox.recovered",
};

export interface Change {
  readonly at: number;
  /** Columns beside the state that change with it. */
  readonly patch?: SandboxPatch;
  readonly data?: Record<string, unknown>;
}

const RESUME_FIRST = "Resume it first: 'sand-boxer resume ID'. With lifetime.on_use: resume in its profile, use does.";

function refused(row: SandboxRow, action: Action): SandboxerError {
  const why =
    row.termination_reason === null
      ? row.error_code === null
        ? ""
        : ` (${row.error_code}: ${row.error_message ?? ""})`
      : ` (${row.termination_reason}${row.termination_detail === null ? "" : `: ${row.termination_detail}`})`;
  return new SandboxerError("wrong_state", `sandbox ${row.id} is ${row.state}${why}, and cannot ${action === "use" ? "be used" : action}`, {
    phase: action,
    ...(action === "use" && (row.state === "paused" || row.state === "suspended") ? { hint: RESUME_FIRST } : {}),
  });
}

/** @throws SandboxerError `wrong_state` where the table does not allow it, naming the state and why the sandbox ended. */
export function allow(row: SandboxRow, action: Action): void {
  if (TRANSITIONS[row.state][action] === undefined) throw refused(row, action);
}

/** The row that stands before every effect, with its event and its opened usage. */
export async function beginSandbox(tx: Db, row: NewSandboxRow, data: Record<string, unknown>): Promise<void> {
  await insertSandbox(tx, row, JSON.parse(row.metadata) as Record<string, string>);
  await openUsage(tx, {
    sandboxId: row.id,
    generation: row.generation,
    tenant: row.tenant,
    backend: row.backend,
    at: row.created_at,
    resources: JSON.parse(row.resources) as never,
  });
  await appendEvent(tx, { type: "sandbox.provisioning", at: row.created_at, tenant: row.tenant, sandboxId: row.id, data });
}

/**
 * The only writer of state. Reads the row in the transaction, asks the table, writes the row and its event.
 * A move to a final state also closes what was open: usage, execs, processes.
 *
 * @throws SandboxerError `wrong_state` where the table refuses, `sandbox_not_found` where there is no row.
 */
export async function move(tx: Db, id: string, action: Action, change: Change): Promise<SandboxRow> {
  const row = await findSandbox(tx, id);
  if (row === undefined) throw new SandboxerError("sandbox_not_found", `there is no sandbox ${id}`);
  const state = TRANSITIONS[row.state][action];
  if (state === undefined) throw refused(row, action);
  const ends = isTerminal(state);
  if (ends) await closeAll(tx, row, change.at, state === "failed");
  else if (state === "paused" || state === "suspended") await markRest(tx, id, state, change.at);
  else if (state === "ready" && row.state !== "ready" && row.state !== "provisioning") await markRest(tx, id, null, change.at);
  if (state === "suspended") await closeWork(tx, row, change.at, "sandbox suspended");
  const patch: SandboxPatch = { ...change.patch, state, ...(ends ? { ended_at: change.at, owner: null, desired: "terminated" } : {}) };
  await updateSandbox(tx, id, patch);
  const moved = { ...row, ...patch } as SandboxRow;
  const type = EVENT[action];
  // A stop that finds it stopping already changes who works on it, not what happened.
  if (type !== undefined && !(action === "stop" && row.state === "stopping")) {
    const why =
      ends || action === "stop" ? { reason: moved.termination_reason, detail: moved.termination_detail, error: moved.error_code } : {};
    await appendEvent(tx, {
      type,
      at: change.at,
      tenant: row.tenant,
      sandboxId: id,
      data: { from: row.state, to: state, generation: row.generation, ...why, ...change.data },
    });
  }
  return moved;
}

/** Nothing that ran in it runs any more. */
async function closeWork(tx: Db, row: SandboxRow, at: number, because: string): Promise<void> {
  for (const exec of await openExecs(tx, row.id)) {
    await finishExec(tx, exec.id, { at, outcome: "killed", exitCode: null });
    await appendEvent(tx, {
      type: "exec.finished",
      at,
      tenant: row.tenant,
      sandboxId: row.id,
      data: { exec_id: exec.id, outcome: "killed", exit_code: null, because },
    });
  }
  await endProcesses(tx, row.id, at);
}

async function closeAll(tx: Db, row: SandboxRow, at: number, failed: boolean): Promise<void> {
  await closeWork(tx, row, at, "sandbox ended");
  await closeUsage(tx, row.id, at);
  await settleOpen(tx, row, at);
  if (failed) await releaseIdempotent(tx, row.id);
}
