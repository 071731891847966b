import { isTerminal, type Ref, SandboxerError } from "../../contract/index.ts";
import { type HeldNetwork, heldNetworks, updateNetwork } from "../../ledger/index.ts";
import { type Context, hostOf } from "../context.ts";
import { parallel } from "../parallel.ts";
import type { Report } from "../report.ts";
import { applyPolicy } from "./apply.ts";
import { attachEgress, releaseEgress } from "./egress.ts";
import { ingest } from "./ingest.ts";
import { countTraffic } from "./traffic.ts";

const AT_ONCE = 8;

type Session = { readonly id: string; readonly generation: number; readonly attached: boolean };

/** Writes down how it stands with the boundary, where that has changed. */
async function note(ctx: Context, held: HeldNetwork, attached: boolean, problem: string | null): Promise<void> {
  if (held.attached === Number(attached) && held.problem === problem) return;
  await updateNetwork(ctx.ledger.db, held.sandbox_id, { attached: Number(attached), problem });
  const { sandbox_id: sandbox } = held;
  if (problem !== null && problem !== held.problem) ctx.log.warn({ sandbox, problem }, "nothing gets out of a sandbox that has egress");
  if (problem === null && held.problem !== null) ctx.log.info({ sandbox }, "a sandbox has its egress back");
}

/** One live sandbox: attached again where the boundary does not listen inside, told its newest policy where it has an older one. */
async function keep(ctx: Context, held: HeldNetwork, session: Session | undefined): Promise<void> {
  if (session === undefined || held.ref === null) {
    await note(ctx, held, false, "the boundary no longer knows this sandbox, and its CA is gone with that; make a new one");
    return;
  }
  try {
    if (held.applied !== held.revision) await applyPolicy(ctx, held.sandbox_id);
    if (!session.attached) await attachEgress(ctx, { id: held.sandbox_id, backend: held.backend }, JSON.parse(held.ref) as Ref);
    await note(ctx, held, true, null);
  } catch (thrown) {
    await note(ctx, held, false, SandboxerError.from(thrown).message);
    throw thrown;
  }
}

async function removeStray(ctx: Context, id: string, report: Report): Promise<void> {
  await ctx.boundary.call((boundary) => boundary.remove(id));
  report.result.orphans_removed.push({ id, backend: "boundary" });
}

/** Whether a session belongs to nothing that lives. A sandbox that is being made or ended is its maker's. */
function isStray(ctx: Context, held: HeldNetwork | undefined, id: string): boolean {
  return !ctx.live.isCreating(id) && !ctx.live.isEnding(id) && (held === undefined || isTerminal(held.state));
}

/**
 * Compares the boundary with the ledger, both ways: what belongs to nothing alive is forgotten, what lives is attached and has
 * the newest policy. Sessions are listed before the rows are read, and rows are written before sessions are made, so none that is
 * being made is taken for a stray. Does not start a boundary where none is needed.
 */
export async function superviseEgress(ctx: Context, report: Report): Promise<void> {
  if (!ctx.boundary.used && (await heldNetworks(ctx.ledger.db, hostOf(ctx))).length === 0) return;
  let sessions: Map<string, Session>;
  try {
    sessions = new Map((await ctx.boundary.call((boundary) => boundary.sessions())).map((session) => [session.id, session]));
  } catch (thrown) {
    const { message } = SandboxerError.from(thrown);
    for (const held of await heldNetworks(ctx.ledger.db, hostOf(ctx))) if (!isTerminal(held.state)) await note(ctx, held, false, message);
    throw thrown;
  }
  const held = new Map((await heldNetworks(ctx.ledger.db, hostOf(ctx))).map((row) => [row.sandbox_id, row]));
  const strays = [...sessions.keys()].filter((id) => !held.has(id) && isStray(ctx, undefined, id));
  await parallel(strays, AT_ONCE, (id) => report.try({ sandboxId: id }, () => removeStray(ctx, id, report)));
  await parallel([...held.values()], AT_ONCE, (row) =>
    report.try({ sandboxId: row.sandbox_id }, async () => {
      if (isStray(ctx, row, row.sandbox_id)) await releaseEgress(ctx, row.sandbox_id);
      else if (row.state === "ready" || row.state === "paused") await keep(ctx, row, sessions.get(row.sandbox_id));
    }),
  );
}

/** What the sweep does beside: takes verdicts in and counts what moved. */
export async function accountEgress(ctx: Context, report: Report): Promise<void> {
  const live = (await heldNetworks(ctx.ledger.db, hostOf(ctx))).filter(({ state }) => !isTerminal(state));
  if (live.length === 0) return;
  await report.try({}, () => ingest(ctx));
  await parallel(live, AT_ONCE, (row) => report.try({ sandboxId: row.sandbox_id }, async () => void (await countTraffic(ctx, row))));
}
