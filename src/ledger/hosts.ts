import type { Expression, ExpressionBuilder, SqlBool } from "kysely";
import type { Db, Ledger } from "./ledger.ts";
import type { Tables } from "./schema.ts";
import type { HostTable } from "./schema-fleet.ts";

/** Of sandboxes: those that any control plane reaches, and those of that host. */
export function reachedFrom(host: string | null) {
  return (eb: ExpressionBuilder<Tables, "sandboxes">): Expression<SqlBool> => {
    const anywhere = eb("sandboxes.host", "is", null);
    return host === null ? anywhere : eb.or([anywhere, eb("sandboxes.host", "=", host)]);
  };
}

/** Writes down that this host is there, by the ledger's clock. */
export async function saveHost({ db, now }: Ledger, host: Omit<HostTable, "seen_at">): Promise<void> {
  const { id: _id, ...rest } = host;
  await db
    .insertInto("hosts")
    .values({ ...host, seen_at: now })
    .onConflict((conflict) => conflict.column("id").doUpdateSet({ ...rest, seen_at: now }))
    .execute();
}

export async function findHost(db: Db, id: string): Promise<HostTable | undefined> {
  return db.selectFrom("hosts").selectAll().where("id", "=", id).executeTakeFirst();
}

/** With how long ago each was last seen, and what lives there. */
export async function listHosts({ db, now }: Ledger): Promise<(HostTable & { ago_ms: number; sandboxes: number })[]> {
  return db
    .selectFrom("hosts")
    .selectAll()
    .select((eb) => [
      eb(now, "-", eb.ref("seen_at")).as("ago_ms"),
      eb
        .selectFrom("sandboxes")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .whereRef("sandboxes.host", "=", "hosts.id")
        .where("sandboxes.ended_at", "is", null)
        .as("sandboxes"),
    ])
    .orderBy("name")
    .orderBy("id")
    .execute() as Promise<(HostTable & { ago_ms: number; sandboxes: number })[]>;
}
