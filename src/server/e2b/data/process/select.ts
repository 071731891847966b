import { SandboxerError, type ProcessInfo } from "../../../../contract/index.ts";
import type { Session } from "../session.ts";
import { stateOf } from "../state.ts";
import type { Selector } from "../wire/process.ts";

/** Saves the look at the whole list when the process is next asked for. */
export function remember({ ctx }: Session, { sandbox_id, number, id }: ProcessInfo): void {
  stateOf(ctx).processIds.set(`${sandbox_id}/${number}`, id);
}

/**
 * The process that a selector means; by tag the newest that runs, or else the newest. Ended ones are found too.
 *
 * @throws SandboxerError `process_not_found`; `invalid_request` for a selector that says nothing.
 */
export async function select(session: Session, process: Selector | undefined): Promise<ProcessInfo> {
  const { case: by, value } = process?.selector ?? { case: undefined };
  if (by === undefined) throw new SandboxerError("invalid_request", "process: needs a pid or a tag");
  const { engine, who, id: sandboxId } = session;
  const known = by === "pid" ? stateOf(session.ctx).processIds.get(`${sandboxId}/${value}`) : undefined;
  if (known !== undefined) return engine.processes.get(who, sandboxId, known);
  const all = await engine.processes.list(who, sandboxId);
  const matching = all.filter((one) => (by === "pid" ? one.number === value : one.tag === value));
  const found = matching.findLast(({ state }) => state === "running") ?? matching.at(-1);
  if (found === undefined) throw notFound(by, value);
  remember(session, found);
  return found;
}

/** The same where only one that runs will do. */
export async function selectRunning(session: Session, process: Selector | undefined): Promise<ProcessInfo> {
  const found = await select(session, process);
  if (found.state === "running") return found;
  throw notFound("pid", found.number);
}

/** Does something to a running process; one that ended meanwhile is `process_not_found`, as one that never was. */
export async function withRunning(
  session: Session,
  process: Selector | undefined,
  act: (one: ProcessInfo) => Promise<void>,
): Promise<void> {
  const one = await selectRunning(session, process);
  try {
    await act(one);
  } catch (thrown) {
    if (!(thrown instanceof SandboxerError) || thrown.code !== "wrong_state") throw thrown;
    const { state } = await session.engine.processes.get(session.who, session.id, one.id);
    throw state === "ended" ? notFound("pid", one.number) : thrown;
  }
}

function notFound(by: "pid" | "tag", value: number | string): SandboxerError {
  return new SandboxerError("process_not_found", `process with ${by} ${value} not found`);
}
