import { newId } from "../contract/index.ts";
import type { Db, Ledger } from "./ledger.ts";

export const FLEET_ID = "fleet_id";

export async function readMeta(db: Db, key: string): Promise<string | undefined> {
  const row = await db.selectFrom("meta").select("value").where("key", "=", key).executeTakeFirst();
  return row?.value;
}

/** The name of a shared ledger in the labels of what its control planes make, given once. */
export async function fleetId(ledger: Ledger): Promise<string> {
  const known = await readMeta(ledger.db, FLEET_ID);
  if (known !== undefined || ledger.readOnly !== null) return known ?? "";
  return ledger.transaction(
    async (tx) => {
      const first = await readMeta(tx, FLEET_ID);
      if (first !== undefined) return first;
      const id = newId("instance");
      await writeMeta(tx, FLEET_ID, id);
      return id;
    },
    { durable: true },
  );
}

export async function writeMeta(tx: Db, key: string, value: string): Promise<void> {
  await tx
    .insertInto("meta")
    .values({ key, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
}
