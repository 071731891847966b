import { closeSync, copyFileSync, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { appendEvent, openLedger, readEvents, writeMeta } from "../../src/ledger/index.ts";
import { dataDirectory } from "./directory.ts";

async function fill(path: string, events: number): Promise<void> {
  const ledger = openLedger(path);
  await ledger.transaction(async (tx) => {
    for (let i = 0; i < events; i++)
      await appendEvent(tx, { type: "clock.jumped", at: i, tenant: "t", sandboxId: null, data: { text: "x".repeat(200) } });
  });
  await ledger.close();
}

function truncate(path: string, bytes: number): void {
  const file = openSync(path, "r+");
  ftruncateSync(file, bytes);
  closeSync(file);
}

describe("opening the ledger", () => {
  it("makes a new one, and finds what was written when it is opened again", async () => {
    using directory = dataDirectory();
    await fill(directory.path, 3);
    const ledger = openLedger(directory.path);
    expect((await readEvents(ledger.db, { after: 0, limit: 10 })).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    await ledger.close();
  });

  it("refuses a file of 0 bytes instead of beginning anew", () => {
    using directory = dataDirectory();
    writeFileSync(join(directory.path, "ledger.db"), "");
    expect(() => openLedger(directory.path)).toThrow(
      expect.objectContaining({ code: "storage_unavailable", message: expect.stringContaining("0 bytes") as string }),
    );
  });

  it.each([0.25, 0.5, 0.9])("refuses a file that was cut to %d of its length", async (part) => {
    using directory = dataDirectory();
    await fill(directory.path, 500);
    const path = join(directory.path, "ledger.db");
    truncate(path, Math.floor(statSync(path).size * part));
    expect(() => openLedger(directory.path)).toThrow(
      expect.objectContaining({ code: "storage_unavailable", hint: expect.stringContaining("backup") as string }),
    );
  });

  it("refuses a file with overwritten pages", async () => {
    using directory = dataDirectory();
    await fill(directory.path, 500);
    const path = join(directory.path, "ledger.db");
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 8192, 40_960);
    writeFileSync(path, bytes);
    expect(() => openLedger(directory.path)).toThrow(expect.objectContaining({ code: "storage_unavailable" }));
  });

  it("does not read a large file whole where its newest pages stand in the log alone, as after a kill", async () => {
    using directory = dataDirectory();
    using killed = dataDirectory();
    await fill(directory.path, 40_000);
    const ledger = openLedger(directory.path);
    await ledger.transaction(async (tx) => {
      for (let i = 0; i < 3000; i++)
        await appendEvent(tx, { type: "clock.jumped", at: i, tenant: "t", sandboxId: null, data: { text: "x".repeat(200) } });
    });
    for (const name of ["ledger.db", "ledger.db-wal"]) copyFileSync(join(directory.path, name), join(killed.path, name));
    await ledger.close();
    const path = join(killed.path, "ledger.db");
    expect(statSync(path).size).toBeLessThan(statSync(join(directory.path, "ledger.db")).size);
    // A page that only a whole reading comes by.
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, 1000 * 4096);
    closeSync(file);
    const found = openLedger(killed.path);
    expect(await readEvents(found.db, { after: 42_999, limit: 10 })).toHaveLength(1);
    await found.close();
    truncate(path, statSync(path).size - 8192);
    expect(() => openLedger(killed.path)).toThrow(expect.objectContaining({ code: "storage_unavailable" }));
  });

  it("refuses what is no database", () => {
    using directory = dataDirectory();
    writeFileSync(join(directory.path, "ledger.db"), "not a database at all, but a text of some length".repeat(40));
    expect(() => openLedger(directory.path)).toThrow(expect.objectContaining({ code: "storage_unavailable" }));
  });

  it("refuses another program's database", () => {
    using directory = dataDirectory();
    const other = new DatabaseSync(join(directory.path, "ledger.db"));
    other.exec("create table meta (key text primary key, value text); insert into meta values ('schema_version', '1')");
    other.close();
    expect(() => openLedger(directory.path)).toThrow(
      expect.objectContaining({ message: expect.stringContaining("not a sand-boxer ledger") as string }),
    );
  });

  it("refuses a schema newer than it knows", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    await writeMeta(ledger.db, "schema_version", "9999");
    await ledger.close();
    expect(() => openLedger(directory.path)).toThrow(
      expect.objectContaining({ message: expect.stringContaining("schema 9999") as string }),
    );
  });

  it("refuses to begin anew beside another ledger's log", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    await writeMeta(ledger.db, "a", "b");
    const log = join(directory.path, "kept");
    copyFileSync(join(directory.path, "ledger.db-wal"), log);
    await ledger.close();
    rmSync(join(directory.path, "ledger.db"));
    copyFileSync(log, join(directory.path, "ledger.db-wal"));
    expect(() => openLedger(directory.path)).toThrow(expect.objectContaining({ message: expect.stringContaining("missing") as string }));
  });
});
