import type { NetworkVerdict } from "../contract/index.ts";
import type { Db } from "./ledger.ts";

/** Entries written by one statement. */
const AT_ONCE = 64;

/** Writes entries down; one that is there already stays as it is. */
export async function appendVerdicts(tx: Db, entries: readonly NetworkVerdict[]): Promise<void> {
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    const rows = entries.slice(from, from + AT_ONCE).map((entry) => ({
      sandbox_id: entry.sandbox_id,
      seq: entry.seq,
      at: Date.parse(entry.at),
      verdict: entry.verdict,
      entry: JSON.stringify(entry),
    }));
    await tx
      .insertInto("network_log")
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** A sandbox's entries after `after`, oldest first. `refused`: only those that no rule allowed, in mode audit those let out as well. */
export async function readVerdicts(
  db: Db,
  query: { sandboxId: string; after: number; limit: number; refused?: boolean },
): Promise<NetworkVerdict[]> {
  let select = db.selectFrom("network_log").select("entry").where("sandbox_id", "=", query.sandboxId).where("seq", ">", query.after);
  if (query.refused === true) select = select.where("verdict", "<>", "allow");
  const rows = await select.orderBy("seq").limit(query.limit).execute();
  return rows.map(({ entry }) => JSON.parse(entry) as NetworkVerdict);
}

/** Keeps the newest `keep` entries of a sandbox. */
export async function trimVerdicts(tx: Db, sandboxId: string, keep: number): Promise<void> {
  const last = await tx
    .selectFrom("network_log")
    .select((row) => row.fn.max("seq").as("seq"))
    .where("sandbox_id", "=", sandboxId)
    .executeTakeFirst();
  await tx
    .deleteFrom("network_log")
    .where("sandbox_id", "=", sandboxId)
    .where("seq", "<=", (last?.seq ?? 0) - keep)
    .execute();
}

/** Forgets what is older, of whichever sandbox. */
export async function pruneVerdicts(tx: Db, before: number): Promise<void> {
  await tx.deleteFrom("network_log").where("at", "<", before).execute();
}
