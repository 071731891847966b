import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { appendEvent, findSandbox, type Ledger, moveLedger, readEvents, readMeta, writeMeta } from "../../../src/ledger/index.ts";
import { openSqliteLedger } from "../../../src/ledger/ledger.ts";
import { openPostgresLedger } from "../../../src/ledger/postgres/ledger.ts";
import { freshDatabase } from "../../support/fresh-database.ts";
import { administer } from "../../support/postgres.ts";
import { endedSandbox } from "../rows.ts";

async function stage(): Promise<{ from: Ledger; to: Ledger; url: string }> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-move-"));
  chmodSync(directory, 0o711);
  const url = await freshDatabase();
  const [from, to] = [openSqliteLedger(directory), openPostgresLedger(url)];
  onTestFinished(async () => {
    await from.close();
    await to.close();
    rmSync(directory, { recursive: true });
  });
  for (let index = 0; index < 1200; index++) {
    await endedSandbox(from, `sb${index}`, index % 100 === 0 ? null : index, { execs: 1 });
    await from.transaction((tx) => appendEvent(tx, { type: "sandbox.ready", at: index, tenant: "t", sandboxId: `sb${index}` }));
  }
  await writeMeta(from.db, "kept", "yes");
  return { from, to, url };
}

describe("moving a file into PostgreSQL", () => {
  it("copies every row as it was, gives local sandboxes their host, and goes on counting behind the last event", async () => {
    const { from, to } = await stage();
    const moved = await moveLedger(from, to, { label: "in-host", local: ["fake"] });
    const rows = Object.fromEntries(moved.map(({ table, rows: count }) => [table, count]));
    expect(rows).toMatchObject({ sandboxes: 1200, events: 1200, execs: 1200, usage: 1200, sandbox_metadata: 1200 });
    expect(await readEvents(to.db, { after: 0, limit: 2000 })).toEqual(await readEvents(from.db, { after: 0, limit: 2000 }));
    expect((await findSandbox(to.db, "sb100"))?.host).toBe("in-host");
    expect((await findSandbox(to.db, "sb101"))?.host).toBeNull();
    expect([await readMeta(to.db, "fleet_id"), await readMeta(to.db, "kept")]).toEqual(["in-host", "yes"]);
    await to.transaction((tx) => appendEvent(tx, { type: "sandbox.lost", at: 1, tenant: "t", sandboxId: null }));
    expect((await readEvents(to.db, { after: 1200, limit: 10 })).map(({ seq }) => seq)).toEqual([1201]);
  });

  it("refuses a database that has something, and leaves nothing where a row does not arrive as it was sent", async () => {
    const { from, to, url } = await stage();
    await to.ready();
    await administer(url, [
      "create function twist() returns trigger language plpgsql as $$ begin if new.id = 'sb777' then new.tenant := 'other'; end if; return new; end $$",
      "create trigger twist before insert on sandboxes for each row execute function twist()",
    ]);
    await expect(moveLedger(from, to, { label: "h", local: [] })).rejects.toMatchObject({ code: "internal", message: expect.stringContaining("sandboxes") as string }); // prettier-ignore
    expect(await findSandbox(to.db, "sb1")).toBeUndefined();
    await administer(url, ["drop trigger twist on sandboxes"]);
    await moveLedger(from, to, { label: "h", local: [] });
    await expect(moveLedger(from, to, { label: "h", local: [] })).rejects.toMatchObject({ code: "conflict" });
  });
});
