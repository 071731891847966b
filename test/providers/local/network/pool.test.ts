import { spawn } from "node:child_process";
import { existsSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mountPoints } from "../../../../src/providers/local/disk/image.ts";
import { discardNamespaces, isNamespace } from "../../../../src/providers/local/network/namespace.ts";
import { NamespacePool } from "../../../../src/providers/local/network/pool.ts";
import { missingPrograms } from "../../../../src/providers/local/network/probe.ts";
import { Scratch } from "../scratch.ts";

const able = process.getuid?.() === 0 && missingPrograms().length === 0;

const raise = (error: unknown): never => {
  throw error;
};

describe.runIf(able)("the pool of network namespaces", () => {
  let scratch: Scratch;
  let directory: string;
  const open = (depth = 2) => new NamespacePool({ directory, depth, onError: raise });
  const names = (place: string) => readdirSync(`${directory}/${place}`).sort();
  beforeEach(() => {
    scratch = new Scratch();
    directory = scratch.path("network", "namespaces");
  });
  afterEach(() => scratch.remove());

  test("gives none twice, though two processes take from it at once", async () => {
    const script = `
      const { NamespacePool } = await import(${JSON.stringify(new URL("../../../../src/providers/local/network/pool.ts", import.meta.url).href)});
      const pool = new NamespacePool({ directory: ${JSON.stringify(directory)}, depth: 2, onError(error) { throw error; } });
      console.log(JSON.stringify(await Promise.all(Array.from({ length: 5 }, (_, i) => pool.claim(process.argv[1] + i)))));`;
    const claim = (name: string) =>
      new Promise<string[]>((resolve, reject) => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script, name], { stdio: ["ignore", "pipe", "inherit"] });
        let text = "";
        child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
        child.once("close", (code) => (code === 0 ? resolve(JSON.parse(text) as string[]) : reject(new Error(`exit ${code}`))));
      });
    const [a, b] = await Promise.all([claim("a"), claim("b")]);
    const taken = [...(a ?? []), ...(b ?? [])];
    expect(new Set(taken).size).toBe(10);
    expect(taken.every(isNamespace)).toBe(true);
    expect([...open().live().keys()].sort()).toEqual(["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2", "b3", "b4"]);
  });

  test("throws a released one away, whoever empties the bin at the same time", async () => {
    const pool = open();
    const path = await pool.claim("one");
    pool.release("one");
    pool.release("one");
    await Promise.all([pool.emptyBin(), open().emptyBin(), pool.emptyBin()]);
    expect([pool.live().size, names("bin"), existsSync(path), mountPoints().has(path)]).toEqual([0, [], false, false]);
  });

  test("keeps some ready while sandboxes have egress, and nothing where none ever had", async () => {
    const pool = open(3);
    await pool.maintain();
    expect(existsSync(directory)).toBe(false);
    await pool.claim("one");
    await pool.maintain();
    expect(names("ready")).toHaveLength(3);
  });

  test("takes none that was prepared before a reboot, and throws those away", async () => {
    const pool = open(2);
    await pool.claim("one");
    await pool.maintain();
    const stale = names("ready");
    // What a reboot does to a mount.
    for (const name of stale) {
      await discardNamespaces([`${directory}/mounts/${name}`]);
      writeFileSync(`${directory}/mounts/${name}`, "");
    }
    expect(isNamespace(await open().claim("two"))).toBe(true);
    await pool.maintain();
    for (const name of stale) expect(names("mounts")).not.toContain(name);
  });

  test("gives up what a dead process was making, and leaves what a live one makes", async () => {
    const pool = open(0);
    await pool.claim("one");
    writeFileSync(`${directory}/making/dead`, JSON.stringify({ pid: 1, startTicks: 1 }));
    writeFileSync(`${directory}/mounts/dead`, "");
    writeFileSync(`${directory}/making/old`, "");
    const past = new Date(Date.now() - 120_000);
    utimesSync(`${directory}/making/old`, past, past);
    writeFileSync(`${directory}/making/new`, "");
    await pool.maintain();
    expect([names("making"), names("mounts").includes("dead")]).toEqual([["new"], false]);
  });
});
