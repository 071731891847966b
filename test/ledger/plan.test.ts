import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLedger } from "../../src/ledger/index.ts";
import { dataDirectory } from "./directory.ts";

/** What SQLite would do for a query, as text; nothing is run, so it holds for a million rows as for none. */
function plansOf(path: string, queries: readonly string[]): string[] {
  const database = new DatabaseSync(join(path, "ledger.db"), { readOnly: true });
  try {
    return queries.map((query) =>
      database
        .prepare(`explain query plan ${query}`)
        .all()
        .map((row) => String(row["detail"]))
        .join("; "),
    );
  } finally {
    database.close();
  }
}

describe("the ledger's indexes", () => {
  it("serve every list, count and look-up without reading or sorting finished sandboxes", async () => {
    using directory = dataDirectory();
    await openLedger(directory.path).close();
    const plans = plansOf(directory.path, [
      "select * from sandboxes where tenant = 't' and id < 'x' order by id desc limit 51",
      "select * from sandboxes where tenant = 't' and state = 'terminated' and id < 'x' order by id desc limit 51",
      "select * from sandboxes where state = 'ready' order by id desc limit 51",
      "select * from sandboxes where id < 'x' order by id desc limit 51",
      "select s.* from sandbox_metadata l join sandboxes s on s.id = l.sandbox_id where l.key = 'k' and l.value = 'v' and l.tenant = 't' order by l.sandbox_id desc limit 51",
      "select s.* from sandbox_metadata l join sandboxes s on s.id = l.sandbox_id where l.key = 'k' and l.value = 'v' order by l.sandbox_id desc limit 51",
      "select * from sandboxes where tenant = 't' and project = 'p' and id < 'x' order by id desc limit 51",
      "select created_at from sandboxes where tenant = 't' and id > 'x' order by id desc limit 1 offset 4",
      "select created_at from sandboxes where tenant = 't' and project = 'p' and id > 'x' order by id desc limit 1 offset 4",
      "select created_at from sandboxes where key_id = 'k' and id > 'x' order by id desc limit 1 offset 4",
      "select * from events where sandbox_id = 's' and seq > 5 order by seq limit 100",
      "select * from events where tenant = 't' and seq > 5 order by seq limit 100",
    ]);
    for (const plan of plans) {
      expect(plan).not.toMatch(/TEMP B-TREE/);
      expect(plan).toMatch(/SEARCH|SCAN sandboxes USING INDEX/);
    }
    const live = plansOf(directory.path, [
      "select tenant, project, key_id, count(*) from sandboxes where ended_at is null group by tenant, project, key_id",
      "select * from sandboxes where ended_at is null and expires_at <= 5",
      "select * from sandboxes where ended_at is null and max_life_at <= 5",
      "select * from sandboxes where ended_at is null and idle_at is not null and idle_at <= 5",
      "select * from sandboxes where ended_at is null and backend = 'b' order by id",
      "select * from sandboxes where ended_at is null and state not in ('stopping', 'provisioning') and expires_at <= 5",
      "select state, backend, count(*) from sandboxes where ended_at is null group by state, backend",
    ]);
    for (const plan of live) expect(plan).toMatch(/sandboxes_live/);
  });
});
