import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openSandboxer } from "../../src/main.ts";
import { exactly, hostObjects } from "../support/host-objects.ts";
import { dataDirectory, localConfig, openLocal, OWNER, removeDataDirectory } from "../support/local-engine.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/sand-boxer", import.meta.url));

function fill(file: string): void {
  const descriptor = openSync(file, "w");
  try {
    for (const size of [1024 ** 2, 4096, 1]) while (wrote(descriptor, size));
  } finally {
    closeSync(descriptor);
  }
}

function wrote(descriptor: number, size: number): boolean {
  try {
    return writeSync(descriptor, Buffer.alloc(size, 1)) === size;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOSPC") return false;
    throw thrown;
  }
}

describe("case 77", () => {
  it("a full disk under the data directory: a create is refused and leaves nothing, a destroy works, and space brings creates back", async () => {
    const dataDir = dataDirectory("full");
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=400m,mode=711", "none", dataDir]);
    try {
      const local = await openLocal("full", { dataDir });
      const { id } = await local.create();
      const other = await local.create();
      expect(await local.sh(id, "echo works")).toMatchObject({ exitCode: 0 });
      await local.engine.sweep();
      const filler = join(dataDir, "filler");
      fill(filler);
      await expect(local.create()).rejects.toMatchObject({ code: "storage_unavailable" });
      expect(await local.engine.destroy(OWNER, id)).toMatchObject({ state: "terminated" });
      // The ledger may not be able to say so yet; the host is what counts.
      expect(hostObjects(dataDir).running).toEqual([other.id]);
      rmSync(filler);
      await local.engine.sweep();
      expect((await local.engine.get(OWNER, id)).state).toBe("terminated");
      expect((await local.create()).state).toBe("ready");
      await local[Symbol.asyncDispose]();
    } finally {
      spawnSync("umount", ["-l", dataDir]);
      removeDataDirectory(dataDir);
    }
  });

  it("a read-only database: creates are refused, reads, execs that need no row and destroys are told the truth, and nothing is left", async () => {
    const dataDir = dataDirectory("readonly");
    const database = join(dataDir, "ledger.db");
    const first = await openLocal("readonly", { dataDir });
    const { id } = await first.create();
    await first.opened.close();
    execFileSync("mount", ["--bind", database, database]);
    execFileSync("mount", ["-o", "remount,bind,ro", database]);
    try {
      const { engine, opened, create } = await openLocal("readonly", { dataDir });
      expect((await engine.get(OWNER, id)).state).toBe("ready");
      await expect(create()).rejects.toMatchObject({ code: "storage_unavailable" });
      expect(hostObjects(dataDir).running).toEqual([id]);
      expect(await engine.destroy(OWNER, id)).toMatchObject({ state: "terminated" });
      expect(hostObjects(dataDir).running).toEqual([]);
      await opened.close();
    } finally {
      execFileSync("umount", [database]);
    }
    await using again = await openLocal("readonly", { dataDir });
    await again.engine.sweep({ adopt: true });
    expect((await again.engine.get(OWNER, id)).state).toBe("terminated");
    const seen = hostObjects(dataDir);
    expect(seen).toEqual(exactly([], seen));
  });
});

describe("case 78: a truncated database", () => {
  it("refuses to start and touches nothing; what still runs is found by its labels, and removed once the operator moves the database away", async () => {
    const dataDir = dataDirectory("cut");
    const first = await openLocal("cut", { dataDir });
    const { id } = await first.create();
    await first.opened.close();
    const database = join(dataDir, "ledger.db");
    const whole = readFileSync(database);
    const file = openSync(database, "r+");
    ftruncateSync(file, Math.floor(statSync(database).size / 2));
    closeSync(file);

    await expect(openSandboxer({ dataDir, config: localConfig() })).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(readFileSync(database).equals(whole.subarray(0, Math.floor(whole.length / 2)))).toBe(true);
    expect(hostObjects(dataDir).running).toEqual([id]);
    const environment = { ...process.env, SANDBOXER_DATA: dataDir };
    const refused = spawnSync(LAUNCHER, ["ls"], { env: environment, encoding: "utf8" });
    expect([refused.status, refused.stderr]).toEqual([125, expect.stringContaining("storage_unavailable") as string]);
    const listed = spawnSync(LAUNCHER, ["sweep", "--list", "--json"], { env: environment, encoding: "utf8" });
    expect(JSON.parse(listed.stdout)).toEqual([{ backend: "local", id, tenant: "acme", running: true }]);
    expect(hostObjects(dataDir).running).toEqual([id]);

    for (const name of ["ledger.db", "ledger.db-wal", "ledger.db-shm"]) rmSync(join(dataDir, name), { force: true });
    await using again = await openLocal("cut", { dataDir });
    expect((await again.engine.sweep({ adopt: true })).orphans_removed).toEqual([{ id, backend: "local" }]);
    const seen = hostObjects(dataDir);
    expect(seen).toEqual(exactly([], seen));
  });
});
