import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { describe, expect, it, onTestFinished } from "vitest";
import { appendEvent, insertPortGrant, isUniqueViolation, type Ledger, type NewEvent, readEvents, readMeta, takeLease, writeMeta } from "../../../src/ledger/index.ts"; // prettier-ignore
import { openPostgresLedger } from "../../../src/ledger/postgres/ledger.ts";
import { freshDatabase } from "../../support/fresh-database.ts";
import { administer, PostgresServer } from "../../support/postgres.ts";

function open(url: string): Ledger {
  const ledger = openPostgresLedger(url);
  onTestFinished(() => ledger.close());
  return ledger;
}

const event = (type: NewEvent["type"]) => ({ type, at: 1, tenant: "t", sandboxId: null });

async function bump(ledger: Ledger): Promise<void> {
  await ledger.transaction(async (tx) => {
    const before = Number((await readMeta(tx, "n")) ?? 0);
    await sleep(1);
    await writeMeta(tx, "n", String(before + 1));
    await appendEvent(tx, event("sandbox.ready"));
  });
}

describe("a ledger in PostgreSQL", () => {
  it("brings an empty database up to date once, however many open it at the same time", async () => {
    const url = await freshDatabase({ bare: true });
    const ledgers = Array.from({ length: 5 }, () => open(url));
    await Promise.all(ledgers.map((ledger) => ledger.ready()));
    expect(await readMeta((ledgers[0] as Ledger).db, "schema_version")).toMatch(/^\d+$/);
  });

  it("refuses a database with somebody else's tables, and one that is newer, and says what to do", async () => {
    const other = await freshDatabase({ bare: true });
    await administer(other, ["create table orders (id int)"]);
    await expect(open(other).ready()).rejects.toMatchObject({ code: "storage_unavailable", message: expect.stringContaining("not sand-boxer's") as string }); // prettier-ignore
    const newer = await freshDatabase();
    await administer(newer, ["update meta set value = '999' where key = 'schema_version'"]);
    await expect(open(newer).ready()).rejects.toMatchObject({ code: "storage_unavailable", message: expect.stringContaining("schema 999") as string }); // prettier-ignore
  });

  it("runs each transaction alone, over all processes, and shows events in the order of their numbers to who reads on", async () => {
    const url = await freshDatabase();
    const [first, second, reader] = [open(url), open(url), open(url)];
    const enough = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for (let after = 0; !enough.signal.aborted || seen.length < 120;) {
        const page = await readEvents(reader.db, { after, limit: 7 });
        for (const { seq } of page) seen.push(seq);
        after = page.at(-1)?.seq ?? after;
      }
    })();
    await Promise.all(Array.from({ length: 120 }, (_, index) => bump(index % 2 === 0 ? first : second)));
    enough.abort();
    await reading;
    expect(await readMeta(reader.db, "n")).toBe("120");
    const all = (await readEvents(reader.db, { after: 0, limit: 1000 })).map(({ seq }) => seq);
    expect(seen).toEqual(all);
    expect(all).toHaveLength(120);
  });

  it("leaves nothing of a transaction that throws, and names a row that is there already", async () => {
    const ledger = open(await freshDatabase());
    await expect(
      ledger.transaction(async (tx) => {
        await appendEvent(tx, event("sandbox.ready"));
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await readEvents(ledger.db, { after: 0, limit: 10 })).toEqual([]);
    await insertPortGrant(ledger.db, "g", 1);
    const twice = await insertPortGrant(ledger.db, "g", 1).catch((thrown: unknown) => thrown);
    expect(isUniqueViolation(twice)).toBe(true);
  });

  it("lets go of the write lock where its holder is killed, and of one that stands still", async () => {
    const url = await freshDatabase();
    const ledger = open(url);
    const script = `
      import { openPostgresLedger } from ${JSON.stringify(join(import.meta.dirname, "../../../src/ledger/postgres/ledger.ts"))};
      import { writeMeta } from ${JSON.stringify(join(import.meta.dirname, "../../../src/ledger/meta.ts"))};
      await openPostgresLedger(${JSON.stringify(url)}).transaction(async (tx) => {
        await writeMeta(tx, "held", "yes");
        process.stdout.write("held\\n");
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const child = spawn(process.execPath, ["--input-type=module", "--disable-warning=ExperimentalWarning", "-e", script], { stdio: ["ignore", "pipe", "inherit"] }); // prettier-ignore
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const waiting = bump(ledger);
    child.kill("SIGKILL");
    await waiting;
    expect(await readMeta(ledger.db, "held")).toBeUndefined();
    const settings = await sql<{ ms: string }>`select setting as ms from pg_settings where name = 'idle_in_transaction_session_timeout'`.execute(ledger.db); // prettier-ignore
    expect(Number(settings.rows[0]?.ms)).toBeGreaterThan(0);
  });

  it("hears of another process's transactions at once", async () => {
    const url = await freshDatabase();
    const [writer, reader] = [open(url), open(url)];
    const heard = Promise.withResolvers<void>();
    await writer.ready();
    const calls: number[] = [];
    reader.onEvents(() => {
      calls.push(1);
      if (calls.length > 1) heard.resolve();
    });
    for (const end = performance.now() + 20_000; calls.length < 2 && performance.now() < end; await sleep(50)) await bump(writer);
    await heard.promise;
  });

  it("keeps what PostgreSQL cannot hold readable, orders ids by their bytes, and gives whole numbers as numbers", async () => {
    const ledger = open(await freshDatabase());
    for (const key of ["b", "B", "a", "a\0"]) await writeMeta(ledger.db, key, `v${key}`);
    const keys = (await ledger.db.selectFrom("meta").select("key").where("value", "like", "v%").orderBy("key").execute()).map(({ key }) => key); // prettier-ignore
    expect(keys).toEqual(["B", "a", "a\uFFFD", "b"]);
    expect(await readMeta(ledger.db, "a\0")).toBe("va\uFFFD");
    const { rows } = await sql<{ n: number; sum: number }>`select 9007199254740991::bigint as n, sum(x) as sum from (values (1::bigint), (2)) t(x)`.execute(ledger.db); // prettier-ignore
    expect(rows[0]).toEqual({ n: 9_007_199_254_740_991, sum: 3 });
    await expect(sql`select 9007199254740993::bigint`.execute(ledger.db)).rejects.toMatchObject({ code: "internal" });
  });

  it("gives a lease to one holder until its time is over by the database's clock, and back to the same one at any time", async () => {
    const ledger = open(await freshDatabase());
    expect(await takeLease(ledger, "x", "one", 400)).toBe(true);
    expect(await takeLease(ledger, "x", "two", 400)).toBe(false);
    expect(await takeLease(ledger, "x", "one", 400)).toBe(true);
    await sleep(600);
    expect(await takeLease(ledger, "x", "two", 60_000)).toBe(true);
    expect(await takeLease(ledger, "x", "one", 400)).toBe(false);
  });
});

describe("a PostgreSQL that goes away", () => {
  it("has what was answered, though it crashed right after: also what need not survive a power cut on SQLite", async () => {
    await using server = await PostgresServer.start();
    await administer(server.url("postgres"), [
      "alter system set synchronous_commit = off",
      "alter system set wal_writer_delay = '10s'",
      "select pg_reload_conf()",
    ]);
    const ledger = openPostgresLedger(server.url("postgres"));
    await ledger.ready();
    await ledger.transaction((tx) => writeMeta(tx, "in a transaction", "yes"));
    await writeMeta(ledger.db, "alone", "yes");
    await server.down("SIGQUIT");
    await server.up();
    expect([await readMeta(ledger.db, "in a transaction"), await readMeta(ledger.db, "alone")]).toEqual(["yes", "yes"]);
    await ledger.close();
  });

  it("is an error that may be tried again and never an empty answer; it is used again once it is back, and listened to", async () => {
    await using server = await PostgresServer.start();
    const ledger = openPostgresLedger(server.url("postgres"));
    const heard: number[] = [];
    ledger.onEvents(() => void heard.push(1));
    await bump(ledger);
    await server.down();
    const calls = [
      () => readMeta(ledger.db, "n"),
      () => readEvents(ledger.db, { after: 0, limit: 1 }),
      () => bump(ledger),
      () => writeMeta(ledger.db, "n", "9"),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "storage_unavailable", retryable: true });
    await server.up();
    await bump(ledger);
    expect(await readMeta(ledger.db, "n")).toBe("2");
    const other = openPostgresLedger(server.url("postgres"));
    const before = heard.length;
    for (const end = performance.now() + 20_000; heard.length <= before + 1 && performance.now() < end; await sleep(50)) await bump(other);
    expect(heard.length).toBeGreaterThan(before + 1);
    await other.close();

    await administer(server.url("postgres"), ["alter database postgres set default_transaction_read_only = on"]);
    const standby = openPostgresLedger(server.url("postgres"));
    await standby.ready();
    expect(standby.readOnly).toContain("read-only");
    await expect(bump(standby)).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(Number(await readMeta(standby.db, "n"))).toBeGreaterThan(1);
    await standby.close();
    await ledger.close();
  });
});
