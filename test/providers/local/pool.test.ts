import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, utimesSync, writeFileSync, mkdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { discardDisk, mountPoints } from "../../../src/providers/local/disk/image.ts";
import { SlotPool } from "../../../src/providers/local/disk/pool.ts";
import { Scratch, unusable } from "./scratch.ts";

const QUOTA = { bytes: 4 * 1024 ** 2, inodes: 64 };
const reason = process.getuid?.() === 0 ? await unusable({ disk: "image" }) : "not root";

const raise = (error: unknown): never => {
  throw error;
};

describe.skipIf(reason !== undefined)(`the pool of slots${reason === undefined ? "" : ` (not on this host: ${reason})`}`, () => {
  const scratch = new Scratch();
  const directory = scratch.path("slots");
  const open = (disks = true) => new SlotPool({ directory, disks, depth: 2, owner: 1000, onError: raise });
  const names = (place: string) => readdirSync(scratch.path("slots", place)).sort();
  beforeAll(() => mkdirSync(directory, { mode: 0o711 }));
  afterAll(() => scratch.remove());

  test("gives no slot twice, though two processes take from it at once", async () => {
    const script = `
      const { SlotPool } = await import(${JSON.stringify(new URL("../../../src/providers/local/disk/pool.ts", import.meta.url).href)});
      const pool = new SlotPool({ directory: ${JSON.stringify(directory)}, disks: true, depth: 2, owner: 1000, onError(error) { throw error; } });
      const slots = await Promise.all(Array.from({ length: 5 }, (_, i) => pool.claim(process.argv[1] + i, ${JSON.stringify(QUOTA)})));
      console.log(JSON.stringify(slots.map(({ number }) => number)));`;
    const claim = (name: string) =>
      new Promise<number[]>((resolve, reject) => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script, name], { stdio: ["ignore", "pipe", "inherit"] });
        let text = "";
        child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
        child.once("close", (code) => (code === 0 ? resolve(JSON.parse(text) as number[]) : reject(new Error(`exit ${code}`))));
      });
    const [a, b] = await Promise.all([claim("a"), claim("b")]);
    expect(new Set([...(a ?? []), ...(b ?? [])]).size).toBe(10);
    const pool = open();
    expect([...pool.live().keys()].sort()).toEqual(["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2", "b3", "b4"]);
    for (const { directory: disk } of pool.live().values()) expect(mountPoints().has(disk ?? "")).toBe(true);
    for (const [id, slot] of pool.live()) pool.release(slot, id);
    await pool.emptyBin();
    expect(pool.live().size).toBe(0);
  });

  test("throws a released disk away, and gives its number back", async () => {
    const pool = open();
    const slot = await pool.claim("one", QUOTA);
    writeFileSync(`${slot.directory}/workspace/secret`, "x");
    pool.release(slot, "one");
    pool.release(slot, "one");
    await Promise.all([pool.emptyBin(), open().emptyBin()]);
    expect([names("live"), names("bin"), names("numbers").includes(String(slot.number))]).toEqual([[], [], false]);
    expect([existsSync(slot.directory ?? ""), mountPoints().has(slot.directory ?? "")]).toEqual([false, false]);
    const next = await pool.claim("two", QUOTA);
    expect(readdirSync(`${next.directory}/workspace`)).toEqual([]);
    pool.release(next, "two");
    await pool.emptyBin();
  });

  test("keeps as many ready as it was told, for the quotas that were used", async () => {
    const pool = open();
    await pool.maintain();
    expect(names(`ready/${QUOTA.bytes}-${QUOTA.inodes}`)).toHaveLength(2);
    await pool.maintain();
    expect(names(`ready/${QUOTA.bytes}-${QUOTA.inodes}`)).toHaveLength(2);
  });

  test("does not hand out a prepared slot whose disk a reboot has unmounted", async () => {
    const key = `ready/${QUOTA.bytes}-${QUOTA.inodes}`;
    const [first = ""] = names(key);
    await discardDisk(scratch.path("slots", "disks", "no-such.img"), scratch.path("slots", "disks", first));
    const pool = open();
    await pool.recover();
    expect(names(key)).not.toContain(first);
    await pool.emptyBin();
    expect(names("numbers")).not.toContain(first);
  });

  test("gives back the number of a slot whose making died, but not while it may still be made", async () => {
    closeSync(openSync(scratch.path("slots", "numbers", "77"), "wx"));
    const pool = open();
    await pool.maintain();
    expect(names("numbers")).toContain("77");
    const past = Date.now() / 1000 - 3600;
    utimesSync(scratch.path("slots", "numbers", "77"), past, past);
    await pool.maintain();
    expect(names("numbers")).not.toContain("77");
  });

  test("throws away the disk of a slot also where disks are not used any more", async () => {
    const slot = await open().claim("old", QUOTA);
    const without = open(false);
    without.release(slot, "old");
    await without.emptyBin();
    expect([existsSync(`${slot.directory}.img`), mountPoints().has(slot.directory ?? "")]).toEqual([false, false]);
  });
});
