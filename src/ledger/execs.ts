import type { Outcome } from "../contract/index.ts";
import { reachedFrom } from "./hosts.ts";
import type { Db } from "./ledger.ts";
import type { ExecRow } from "./schema.ts";

export async function insertExec(
  tx: Db,
  exec: { id: string; sandboxId: string; tenant: string; owner: string; at: number },
): Promise<void> {
  await tx
    .insertInto("execs")
    .values({
      id: exec.id,
      sandbox_id: exec.sandboxId,
      tenant: exec.tenant,
      owner: exec.owner,
      started_at: exec.at,
      ended_at: null,
      outcome: null,
      exit_code: null,
    })
    .execute();
}

/** Ends the row if it is still open; false where someone else has. */
export async function finishExec(tx: Db, id: string, end: { at: number; outcome: Outcome; exitCode: number | null }): Promise<boolean> {
  const result = await tx
    .updateTable("execs")
    .set({ ended_at: end.at, outcome: end.outcome, exit_code: end.exitCode })
    .where("id", "=", id)
    .where("ended_at", "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows) === 1;
}

/** Execs that have not ended and whose sandbox that host reaches. */
export async function openExecsFrom(db: Db, host: string | null): Promise<ExecRow[]> {
  return db
    .selectFrom("execs")
    .innerJoin("sandboxes", "sandboxes.id", "execs.sandbox_id")
    .selectAll("execs")
    .where("execs.ended_at", "is", null)
    .where(reachedFrom(host) as never)
    .execute();
}

/** Execs that have not ended: of one sandbox, or all. */
export async function openExecs(db: Db, sandboxId?: string): Promise<ExecRow[]> {
  const open = db.selectFrom("execs").selectAll().where("ended_at", "is", null);
  return (sandboxId === undefined ? open : open.where("sandbox_id", "=", sandboxId)).execute();
}
