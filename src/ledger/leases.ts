import type { Ledger } from "./ledger.ts";
import type { LeaseTable } from "./schema-fleet.ts";

/**
 * Takes or renews a lease for so long, by the ledger's clock alone. False while another one holds it. What is done under it must
 * be right without it as well: a holder that stands still does not notice that its time is over.
 */
export async function takeLease({ db, now }: Ledger, name: string, holder: string, ms: number): Promise<boolean> {
  const taken = await db
    .insertInto("leases")
    .values((eb) => ({ name, holder, held_until: eb(now, "+", ms) }))
    .onConflict((conflict) =>
      conflict
        .column("name")
        .doUpdateSet((eb) => ({ holder, held_until: eb(now, "+", ms) }))
        .where((eb) => eb.or([eb("leases.holder", "=", holder), eb("leases.held_until", "<=", now)])),
    )
    .returning("holder")
    .execute();
  return taken.length > 0;
}

/** Gives back all that one holds, so that the next one need not wait. */
export async function releaseLeases({ db }: Ledger, holder: string): Promise<void> {
  await db.deleteFrom("leases").where("holder", "=", holder).execute();
}

/** All, with how long each still holds; negative where its time is over. */
export async function listLeases({ db, now }: Ledger): Promise<(LeaseTable & { left_ms: number })[]> {
  return db
    .selectFrom("leases")
    .selectAll()
    .select((eb) => eb(eb.ref("held_until"), "-", now).as("left_ms"))
    .orderBy("name")
    .execute();
}
