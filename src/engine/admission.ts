import { type Principal, SandboxerError } from "../contract/index.ts";
import { admitOneMore } from "../guard/index.ts";
import { countLive, type Db, findQuotas, type Holder, type LiveCount, nthNewestBegin, type QuotaRow } from "../ledger/index.ts";
import type { Context } from "./context.ts";

export const MINUTE_MS = 60_000;

interface Held {
  readonly subject: string;
  readonly holder: Holder;
  readonly has: (row: LiveCount) => boolean;
}

/** Everybody whose quota a create counts against. */
function holdersOf({ tenant, project, key_id: key }: Principal): Held[] {
  return [
    { subject: `tenant:${tenant}`, holder: { kind: "tenant", tenant }, has: (row) => row.tenant === tenant },
    ...(project === undefined
      ? []
      : [
          {
            subject: `project:${tenant}/${project}`,
            holder: { kind: "project" as const, tenant, project },
            has: (row: LiveCount) => row.tenant === tenant && row.project === project,
          },
        ]),
    ...(key === null
      ? []
      : [{ subject: `key:${key}`, holder: { kind: "key" as const, key }, has: (row: LiveCount) => row.key_id === key }]),
  ];
}

export const sumOf = (rows: readonly LiveCount[], has: (row: LiveCount) => boolean = () => true): number =>
  rows.reduce((sum, row) => sum + (has(row) ? row.count : 0), 0);

function refused(message: string, retryAfter?: number): SandboxerError {
  return new SandboxerError("quota_exceeded", message, {
    phase: "admission",
    ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
  });
}

async function checkQuota(tx: Db, quota: QuotaRow, { subject, holder, has }: Held, live: readonly LiveCount[], now: number): Promise<void> {
  const { concurrent, creates_per_minute: perMinute } = quota;
  const count = sumOf(live, has);
  if (concurrent !== null && count >= concurrent) throw refused(`${subject} has ${count} live sandboxes, and its quota is ${concurrent}`);
  if (perMinute === null) return;
  if (perMinute === 0) throw refused(`the quota of ${subject} lets nothing be created`);
  const nth = await nthNewestBegin(tx, holder, perMinute, now - MINUTE_MS);
  if (nth === undefined) return;
  // Never more than the window, should the clock have been set back.
  const wait = Math.min(MINUTE_MS, Math.max(1, nth + MINUTE_MS - now));
  throw refused(`${subject} has begun ${perMinute} sandboxes in the last minute, which is its quota`, Math.ceil(wait / 1000));
}

/**
 * Whether one more sandbox may begin, by the operator's limits and every quota it counts against. In the transaction that writes its
 * row, which is alone against every other: of a hundred at once exactly as many pass as there is room for.
 *
 * @throws SandboxerError `quota_exceeded` naming what is full, with `retry_after` where time alone makes room.
 */
export async function admit(ctx: Context, tx: Db, who: Principal, now: number): Promise<void> {
  const live = await countLive(tx);
  admitOneMore({ all: sumOf(live), tenant: sumOf(live, (row) => row.tenant === who.tenant) }, ctx.config.limits ?? {});
  const holders = holdersOf(who);
  const quotas = await findQuotas(
    tx,
    holders.map(({ subject }) => subject),
  );
  for (const held of holders) {
    const quota = quotas.find(({ subject }) => subject === held.subject);
    if (quota !== undefined) await checkQuota(tx, quota, held, live, now);
  }
}
