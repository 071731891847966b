import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock, FAILPOINTS } from "../../src/engine/index.ts";
import { findNetwork, findSandbox, openExecs } from "../../src/ledger/index.ts";
import { MemoryBoundary } from "../support/memory-boundary.ts";
import { openBenchIn, OWNER } from "./bench.ts";

const CHILD = new URL("crash-child.ts", import.meta.url).pathname;

describe("a kill -9 of the engine", () => {
  // The fake's world dies with its process, so every sandbox is gone then: the ledger must come to say so, and why.
  it.each(FAILPOINTS)("at %s leaves a ledger that the next engine brings to the truth", async (failpoint) => {
    const directory = mkdtempSync(join(tmpdir(), "sbx-crash-"));
    chmodSync(directory, 0o711);
    const child = spawn(process.execPath, [CHILD, directory, failpoint], { stdio: ["ignore", "inherit", "inherit"] });
    const [, signal] = (await once(child, "exit")) as [number | null, string | null];
    expect(signal).toBe("SIGKILL");

    await using bench = await openBenchIn(directory, { engine: { clock: systemClock() }, boundary: new MemoryBoundary() });
    expect((await bench.engine.sweep({ adopt: true })).errors).toEqual([]);
    const rows = (await bench.engine.list(OWNER, { limit: 10 })).data;
    expect(rows.length).toBe(failpoint === "create.before_row" ? 0 : 1);
    expect(await openExecs(bench.ledger.db)).toEqual([]);
    for (const row of rows) {
      expect((await findNetwork(bench.ledger.db, row.id))?.released_at).not.toBeNull();
      expect(["terminated", "failed"]).toContain(row.state);
      expect(row.termination?.reason ?? row.error?.code).toMatch(/^(backend_lost|user|canceled)$/);
      expect((await findSandbox(bench.ledger.db, row.id))?.owner).toBeNull();
      const usage = await bench.ledger.db.selectFrom("usage").selectAll().where("sandbox_id", "=", row.id).executeTakeFirstOrThrow();
      expect(usage.closed_at).not.toBeNull();
    }
    const again = await bench.engine.create(OWNER, { profile: "set" }, { idempotencyKey: "k" }).catch((thrown: unknown) => thrown);
    expect(again).toMatchObject(rows[0]?.state === "terminated" ? { replayed: true } : { replayed: false });
  });
});
