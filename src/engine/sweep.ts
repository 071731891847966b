import { isTerminal, type SweepReport } from "../contract/index.ts";
import {
  appendEvent,
  auditHead,
  countLiveByState,
  type ExecRow,
  findSandbox,
  finishExec,
  openExecsFrom,
  pruneIdempotent,
  pruneVerdicts,
  takeLease,
} from "../ledger/index.ts";
import { backendOf, type Context, hostOf, op, providerOf } from "./context.ts";
import type { Backend } from "./backends.ts";
import { heartbeat, leaseMs, livingInstances } from "./instances.ts";
import { enforceBudgets } from "./money/enforce.ts";
import { readMeters } from "./money/meter.ts";
import { accountEgress, superviseEgress } from "./network/supervise.ts";
import { parallel } from "./parallel.ts";
import { keepMeasurements } from "./routing/keep.ts";
import { reap } from "./reap.ts";
import { Report } from "./report.ts";
import { cutoffs } from "./retention.ts";
import { deliverMissed } from "./secret-delivery.ts";
import { sweepBackend } from "./sweep-backend.ts";
import { storedRef } from "./view.ts";

/** How long an Idempotency-Key is remembered. */
const KEY_LIFE_MS = 24 * 3600_000;
const AT_ONCE = 8;

/** An exec whose process died with it: what runs on is ended, and how it ended is not known. */
async function settleExec(ctx: Context, exec: ExecRow): Promise<void> {
  const row = await findSandbox(ctx.ledger.db, exec.sandbox_id);
  // What it left stands still as well; it is ended when it runs again.
  if (row?.state === "paused") return;
  const ref = row === undefined ? null : storedRef(row);
  if (row !== undefined && !isTerminal(row.state) && ref !== null) await providerOf(ctx, row.backend).abandonExec?.(ref, exec.id, op(ctx));
  const at = ctx.clock.now();
  await ctx.ledger.transaction(async (tx) => {
    if (!(await finishExec(tx, exec.id, { at, outcome: "unknown", exitCode: null }))) return;
    await appendEvent(tx, {
      type: "exec.finished",
      at,
      tenant: exec.tenant,
      sandboxId: exec.sandbox_id,
      data: { exec_id: exec.id, outcome: "unknown", exit_code: null, because: "the process that ran it ended" },
    });
  });
}

async function settleExecs(ctx: Context, report: Report, living: ReadonlySet<string>): Promise<void> {
  const open = await openExecsFrom(ctx.ledger.db, hostOf(ctx));
  const abandoned = open.filter((exec) => (exec.owner === ctx.instance ? !ctx.live.isRunning(exec.id) : !living.has(exec.owner)));
  await parallel(abandoned, AT_ONCE, (exec) => report.try({ sandboxId: exec.sandbox_id }, () => settleExec(ctx, exec)));
}

/** Live sandboxes whose backend is no longer configured cannot be ended: that must not go unseen. */
async function reportUnreachable(ctx: Context, report: Report): Promise<void> {
  const live = await countLiveByState(ctx.ledger.db);
  for (const name of new Set(live.map(({ backend }) => backend)))
    await report.try({ backend: name }, async () => void backendOf(ctx, name));
}

/** In a fleet one control plane sweeps a backend that all of them reach. Two at once would be right as well, and twice the calls. */
async function isMineToSweep(ctx: Context, { name, onThisHost }: Backend): Promise<boolean> {
  return !ctx.ledger.shared || (onThisHost && ctx.host !== null) || takeLease(ctx.ledger, `sweep:${name}`, ctx.instance, leaseMs(ctx));
}

async function keepBooks(ctx: Context, living: ReadonlySet<string>): Promise<void> {
  await heartbeat(ctx, living);
  await pruneIdempotent(ctx.ledger.db, ctx.clock.now() - KEY_LIFE_MS);
  await pruneVerdicts(ctx.ledger.db, cutoffs(ctx.config, ctx.clock.now()).networkLog);
  await keepMeasurements(ctx);
}

/** Writes the head of the audit log elsewhere, where that is due. */
async function anchor(ctx: Context): Promise<void> {
  if (ctx.ledger.readOnly !== null || (await auditHead(ctx.ledger.db)) === undefined) return;
  const { anchorAudit } = await import("./hub/index.ts");
  await anchorAudit(ctx);
}

/** One whole sweep: clocks, every backend against the ledger, abandoned execs, the books. Never throws; errors are in the report. */
export async function sweepOnce(ctx: Context, { adopt, asked }: { adopt: boolean; asked: boolean }): Promise<SweepReport> {
  const report = new Report();
  await report.try({}, async () => {
    const living = await livingInstances(ctx);
    await report.try({}, () => settleExecs(ctx, report, living));
    await report.try({}, () => reap(ctx, report));
    await report.try({}, () => accountEgress(ctx, report));
    await report.try({}, () => enforceBudgets(ctx, report));
    await Promise.all(
      ctx.backends.map((backend) =>
        report.try({ backend: backend.name }, async () => {
          if (asked || (await isMineToSweep(ctx, backend))) await sweepBackend(ctx, backend, report, { living, adopt });
        }),
      ),
    );
    await report.try({}, () => superviseEgress(ctx, report));
    await report.try({}, () => deliverMissed(ctx, report));
    await report.try({}, () => reportUnreachable(ctx, report));
    await report.try({}, () => readMeters(ctx, report));
    await report.try({}, () => keepBooks(ctx, living));
    await report.try({}, () => anchor(ctx));
  });
  const { adopted, ended, orphans_removed, lost, errors } = report.result;
  if (ended.length + orphans_removed.length + lost.length + errors.length > 0 || adopt) {
    ctx.log.info({ adopted: adopted.length, ended, orphans_removed, lost, errors }, "swept");
  }
  return report.result;
}
