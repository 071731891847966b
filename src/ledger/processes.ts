import type { Db } from "./ledger.ts";
import type { ProcessRow } from "./schema.ts";

/** Writes the row with the sandbox's next number, which it answers. */
export async function insertProcess(tx: Db, row: Omit<ProcessRow, "number">): Promise<ProcessRow> {
  const { highest } = await tx
    .selectFrom("processes")
    .select(({ fn }) => fn.max("number").as("highest"))
    .where("sandbox_id", "=", row.sandbox_id)
    .executeTakeFirstOrThrow();
  const numbered = { ...row, number: (highest ?? 0) + 1 };
  await tx.insertInto("processes").values(numbered).execute();
  return numbered;
}

export async function findProcess(db: Db, sandboxId: string, id: string): Promise<ProcessRow | undefined> {
  return db.selectFrom("processes").selectAll().where("id", "=", id).where("sandbox_id", "=", sandboxId).executeTakeFirst();
}

export async function listProcesses(db: Db, sandboxId: string): Promise<ProcessRow[]> {
  return db.selectFrom("processes").selectAll().where("sandbox_id", "=", sandboxId).orderBy("id").execute();
}

export async function updateProcess(
  tx: Db,
  id: string,
  patch: Partial<Pick<ProcessRow, "ended_at" | "end" | "output_bytes">>,
): Promise<void> {
  await tx.updateTable("processes").set(patch).where("id", "=", id).execute();
}

/** Takes back the row of one that never started. */
export async function deleteProcess(tx: Db, id: string): Promise<void> {
  await tx.deleteFrom("processes").where("id", "=", id).execute();
}

/** Closes the rows of a sandbox that has ended; how the processes ended stays unknown where it was not seen. */
export async function endProcesses(tx: Db, sandboxId: string, at: number): Promise<void> {
  await tx.updateTable("processes").set({ ended_at: at }).where("sandbox_id", "=", sandboxId).where("ended_at", "is", null).execute();
}
