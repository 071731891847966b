import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Ledger } from "../../src/ledger/index.ts";
import { openPostgresLedger } from "../../src/ledger/postgres/ledger.ts";
import { freshDatabase } from "../support/fresh-database.ts";
import { openSharedWorld } from "../support/shared-world.ts";

interface ControlPlane {
  readonly process: ChildProcess;
  readonly said: string[];
  readonly idle: Promise<void>;
}

/** In a PID namespace of its own, as on another host: of its end nothing is known but that its lease runs out. */
function start(ledger: string, world: string, skewMs: number): ControlPlane {
  const dataDir = mkdtempSync(join(tmpdir(), "sbx-fleet-"));
  chmodSync(dataDir, 0o711);
  const child = spawn(
    "unshare",
    ["--pid", "--fork", "--kill-child", "--mount-proc", process.execPath, "--disable-warning=ExperimentalWarning", join(import.meta.dirname, "control-plane.child.ts"), dataDir, world, String(skewMs)],
    { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, SANDBOXER_LEDGER: ledger } },
  ); // prettier-ignore
  const said: string[] = [];
  const idle = Promise.withResolvers<void>();
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    said.push(...lines);
    if (lines.includes("idle")) idle.resolve();
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
    rmSync(dataDir, { recursive: true, force: true });
  });
  return { process: child, said, idle: idle.promise };
}

/** Waits until it answers with an empty list. */
async function until(what: string, left: () => Promise<unknown[]> | unknown[], seconds = 40): Promise<void> {
  for (const end = performance.now() + seconds * 1000; ; await sleep(100)) {
    const still = await left();
    if (still.length === 0) return;
    if (performance.now() > end) throw new Error(`${what}: not in ${seconds} s: ${JSON.stringify(still)}`);
  }
}

const live = (ledger: Ledger) => ledger.db.selectFrom("sandboxes").select(["id", "state", "owner"]).where("ended_at", "is", null).execute();

describe("three control planes over one database, their clocks an hour apart", () => {
  it("lose and double nothing where one is killed under load: all of its work is taken over and settled, and usage closed once", async () => {
    const url = await freshDatabase();
    await using world = await openSharedWorld(60);
    const ledger = openPostgresLedger(url);
    onTestFinished(() => ledger.close());
    const planes = [0, 3_600_000, -3_600_000].map((skew) => start(url, world.url, skew));
    const [, , victim] = planes as [ControlPlane, ControlPlane, ControlPlane];
    await until("all at work", () =>
      planes.filter(({ said }) => said.filter((line) => line.startsWith("made")).length <= 5).map(({ said }) => said),
    );
    victim.process.kill("SIGKILL");
    await sleep(1000);
    const survivors = planes.slice(0, 2);
    for (const { process: child } of survivors) child.stdin?.end();
    await Promise.all(survivors.map(({ idle }) => idle));
    expect(survivors.flatMap(({ said }) => said.filter((line) => line.startsWith("failed")))).toEqual([]);

    const execs = () => ledger.db.selectFrom("execs").selectAll().where("ended_at", "is", null).execute();
    await until("unfinished work", async () => (await live(ledger)).filter(({ state }) => state !== "ready"));
    await until("open execs", execs);
    await until("the dead one", async () => (await ledger.db.selectFrom("instances").selectAll().execute()).slice(2));
    await until("backend and ledger differ", async () => {
      const [rows, objects] = [new Set((await live(ledger)).map(({ id }) => id)), new Set(world.ids())];
      return [...[...rows].filter((id) => !objects.has(id)), ...[...objects].filter((id) => !rows.has(id))];
    });

    const made = planes.flatMap(({ said }) => said.filter((line) => line.startsWith("made")).map((line) => line.slice(5)));
    expect(new Set(made).size).toBe(made.length);
    const rows = new Map((await ledger.db.selectFrom("sandboxes").selectAll().execute()).map((row) => [row.id, row]));
    for (const id of made) expect(rows.get(id)?.ready_at).not.toBeNull();
    expect([...world.made.values()].filter((times) => times !== 1)).toEqual([]);
    expect(world.labels).toHaveLength(1);

    const usage = await ledger.db.selectFrom("usage").selectAll().execute();
    expect(usage).toHaveLength(rows.size);
    for (const { sandbox_id, closed_at } of usage) expect(closed_at === null).toBe(rows.get(sandbox_id)?.ended_at === null);
    const ends = await ledger.db.selectFrom("events").select("sandbox_id").where("type", "in", ["sandbox.terminated", "sandbox.failed"]).execute(); // prettier-ignore
    expect(ends.map(({ sandbox_id }) => sandbox_id ?? "").sort((a, b) => (a < b ? -1 : 1))).toEqual([...rows.values()].filter(({ ended_at }) => ended_at !== null).map(({ id }) => id).sort((a, b) => (a < b ? -1 : 1))); // prettier-ignore

    // Whatever the hosts' clocks say, times are the database's.
    const at = Date.now();
    for (const { created_at } of rows.values()) expect(Math.abs(at - created_at)).toBeLessThan(300_000);
  });
});
