import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, cpSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/engine/index.ts";
import { openLedger } from "../../src/ledger/index.ts";
import { type Bench, openBench, OWNER, silent } from "./bench.ts";

/** A directory on a file system of its own; needs the right to mount. */
class SmallDisk implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "sbx-disk-"));
  mount(options: string): void {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "none", this.path]);
  }
  readOnly(): void {
    execFileSync("mount", ["-o", "remount,ro", this.path]);
  }
  fill(): string {
    const filler = join(this.path, "filler");
    const file = openSync(filler, "w");
    try {
      for (const size of [65_536, 4096, 1]) for (let full = false; !full;) full = !write(file, size);
    } finally {
      closeSync(file);
    }
    return filler;
  }
  [Symbol.dispose](): void {
    spawnSync("umount", ["-l", this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }
}

function write(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size, 1)) === size;
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOSPC") return false;
    throw thrown;
  }
}

function mayMount(): boolean {
  using probe = new SmallDisk();
  return spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", probe.path]).status === 0;
}

const canMount = mayMount();
if (!canMount) console.warn("skipped: full and read-only disks need the right to mount a tmpfs");

async function on(bench: Bench, directory: string) {
  const ledger = openLedger(directory);
  const engine = await createEngine({
    ledger,
    backends: bench.backends,
    config: { backends: [] },
    log: silent,
    shippedProfiles: await shipped(bench),
    clock: bench.clock,
    background: false,
  });
  return { ledger, engine };
}

async function shipped(bench: Bench) {
  return (await bench.engine.profiles.list(OWNER)).map((profile) => ({ ...profile, shipped: true as const }));
}

describe.skipIf(!canMount)("a disk that cannot be written", () => {
  it("that is full refuses creates, and ends sandboxes all the same; the sweep writes it down later", async () => {
    await using bench = await openBench();
    using disk = new SmallDisk();
    disk.mount("size=4m");
    const { ledger, engine } = await on(bench, disk.path);
    const { sandbox } = await engine.create(OWNER, {}, {});
    const brief = (await engine.create(OWNER, { ttl: "1m" }, {})).sandbox.id;
    const filler = disk.fill();
    await expect((async () => { for (let i = 0; i < 500; i++) await engine.create(OWNER, {}, {}); })()).rejects.toMatchObject({ code: "storage_unavailable" }); // prettier-ignore
    const before = bench.control().ids().length;
    expect(await engine.destroy(OWNER, sandbox.id)).toMatchObject({ id: sandbox.id, state: "terminated" });
    expect(bench.control().ids().length).toBe(before - 1);
    bench.clock.pass(61_000);
    expect((await engine.sweep()).ended).toContainEqual({ id: brief, reason: "expired" });
    expect(bench.control().ids()).not.toContain(brief);
    expect((await engine.health()).checks["ledger"]).toMatchObject({ ok: false });
    rmSync(filler);
    bench.clock.pass(1000);
    await engine.sweep();
    expect((await engine.get(OWNER, sandbox.id)).state).toBe("terminated");
    expect((await engine.get(OWNER, brief)).state).toBe("terminated");
    expect((await engine.create(OWNER, {}, {})).sandbox.state).toBe("ready");
    await ledger.close();
  });

  it("that is read-only when the engine starts refuses creates, and ends sandboxes all the same", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    using disk = new SmallDisk();
    disk.mount("size=4m");
    for (const file of ["ledger.db", "ledger.db-wal", "ledger.db-shm"]) cpSync(join(bench.directory, file), join(disk.path, file));
    disk.readOnly();
    const { ledger, engine } = await on(bench, disk.path);
    expect(ledger.readOnly).toContain("read");
    await expect(engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "storage_unavailable" });
    expect(await engine.destroy(OWNER, sandbox.id)).toMatchObject({ state: "terminated" });
    expect(bench.control().ids()).toEqual([]);
    await engine.close();
    await ledger.close();
  });
});
