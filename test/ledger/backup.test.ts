import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { backupLedger, findSandbox, openLedger } from "../../src/ledger/index.ts";
import { dataDirectory } from "./directory.ts";
import { endedSandbox } from "./rows.ts";

describe("a backup", () => {
  it("is one moment of a ledger that others write to, opens as a ledger, and overwrites nothing", async () => {
    using directory = dataDirectory();
    using restored = dataDirectory();
    const ledger = openLedger(directory.path);
    for (let index = 0; index < 50; index++) await endedSandbox(ledger, `sb${index}`, index, { execs: 3 });
    const enough = new AbortController();
    const writing = (async () => {
      for (let index = 50; !enough.signal.aborted; index++) await endedSandbox(ledger, `sb${index}`, index, {});
    })();
    const to = join(restored.path, "ledger.db");
    await endedSandbox(ledger, "first", 1, {});
    expect(backupLedger(directory.path, to)).toBeGreaterThan(10_000);
    enough.abort();
    await writing;
    await ledger.close();
    const copy = openLedger(restored.path);
    expect((await findSandbox(copy.db, "sb49"))?.state).toBe("terminated");
    await copy.close();
    expect(() => backupLedger(directory.path, to)).toThrow(expect.objectContaining({ code: "conflict" }));
  });

  it("leaves no file where the ledger cannot be read", () => {
    using directory = dataDirectory();
    const to = join(directory.path, "copy.db");
    expect(() => backupLedger(directory.path, to)).toThrow(expect.objectContaining({ code: "storage_unavailable" }));
    writeFileSync(join(directory.path, "ledger.db"), "x".repeat(10_000));
    expect(() => backupLedger(directory.path, to)).toThrow(expect.objectContaining({ code: "storage_unavailable" }));
    expect(() => rmSync(to)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });
});
