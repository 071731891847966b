import type { Db } from "./ledger.ts";
import type { MeasurementRow } from "./schema.ts";

/** Adds counts to what outlives restarts. */
export async function addMeasurements(tx: Db, rows: readonly MeasurementRow[]): Promise<void> {
  for (const row of rows) {
    await tx
      .insertInto("measurements")
      .values(row)
      .onConflict((conflict) =>
        conflict
          .columns(["backend", "verb", "slice_at", "le_us"])
          .doUpdateSet((eb) => ({ count: eb("measurements.count", "+", row.count) })),
      )
      .execute();
  }
}

/** What was measured in slices that began after `after`. */
export function readMeasurements(db: Db, after: number): Promise<MeasurementRow[]> {
  return db.selectFrom("measurements").selectAll().where("slice_at", ">", after).execute();
}

export async function pruneMeasurements(db: Db, before: number): Promise<void> {
  await db.deleteFrom("measurements").where("slice_at", "<=", before).execute();
}
