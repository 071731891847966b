import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { FAILPOINTS } from "../../src/engine/index.ts";
import { auditBooks, findSandbox, openExecs, openLedger } from "../../src/ledger/index.ts";
import { CREATE_FAILPOINTS } from "../../src/providers/local/create.ts";
import { DESTROY_FAILPOINTS } from "../../src/providers/local/destroy.ts";
import { PROCESS_FAILPOINTS } from "../../src/providers/local/processes/start.ts";
import { boundaryPids, sessionsOnDisk } from "../support/boundary-process.ts";
import { exactly, hostObjects, sandboxProcesses } from "../support/host-objects.ts";
import { endOfChild, eventually, startChild } from "../support/killed.ts";
import { dataDirectory, liveIds, openLocal, PRICE, OWNER, removeDataDirectory, runCommand } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const ALL = [...FAILPOINTS, ...CREATE_FAILPOINTS, ...DESTROY_FAILPOINTS, ...PROCESS_FAILPOINTS];

/** PID 1 of a sandbox and its clock. */
const IDLE_PROCESSES = 2;

/** Where the background process has been started and not ended: it outlives the control plane. */
const PROCESS_LIVES = ["local.process.after_fork", "process.after_start", "network.after_row", "network.after_apply", "destroy.before_row"];

const expectedState = (failpoint: string): string => {
  if (failpoint === "create.before_row") return "none";
  if (/^(local\.)?create\./.test(failpoint) && failpoint !== "create.after_ready") return "failed";
  return /^(local\.)?destroy\./.test(failpoint) && failpoint !== "destroy.before_row" ? "terminated" : "ready";
};

const runtimes = await workingRuntimes(...CONTAINER_RUNTIMES);

describe.each(runtimes)("case 70 with $runtime: a kill -9 of the control plane", async ({ runtime }) => {
  const dataDir = dataDirectory("crash");
  // Every test crashes the same data directory once more.
  const open = () => openLocal("crash", { runtime, dataDir, price: PRICE });
  const first = await open();
  await first.opened.close();
  afterAll(() => {
    for (const pid of boundaryPids(dataDir)) process.kill(pid, "SIGKILL");
    removeDataDirectory(dataDir);
  });

  // Between the engine's own steps no runtime is at work: those are tried with the first.
  const steps = runtime === runtimes[0]?.runtime ? ALL : ALL.filter((failpoint) => failpoint.startsWith("local."));

  it.each(steps)("at %s is settled by the next one: the host has what the database says, and a retry makes one", async (failpoint) => {
    const child = startChild("child.ts", import.meta.url, [dataDir, runtime, failpoint, failpoint]);
    expect(await endOfChild(child)).toBe("SIGKILL");

    const { engine, opened } = await open();
    onTestFinished(async () => {
      for (const id of await liveIds(engine)) await engine.destroy(OWNER, id);
      await opened.close();
    });
    expect((await engine.sweep({ adopt: true })).errors).toEqual([]);
    const rows = (await engine.list(OWNER, { limit: 10, metadata: { key: failpoint } })).data;
    expect(rows.map(({ state }) => state)).toEqual(expectedState(failpoint) === "none" ? [] : [expectedState(failpoint)]);
    const [row] = rows;
    const running =
      row !== undefined && PROCESS_LIVES.includes(failpoint) ? (await engine.processes.list(OWNER, row.id)).map(({ state }) => state) : [];
    const seen = hostObjects(dataDir);
    expect({ ...seen, helpers: [] }).toEqual(exactly(await liveIds(engine), seen));
    // The runtime's own process sees the end of the command it watched, and ends a moment later.
    if (running.includes("running")) expect(seen.helpers).not.toEqual([]);
    else await eventually(() => hostObjects(dataDir).helpers.length === 0);
    expect(running).toEqual(PROCESS_LIVES.includes(failpoint) ? ["running"] : []);

    expect(sessionsOnDisk(dataDir)).toEqual(await liveIds(engine));

    const ledger = openLedger(dataDir);
    expect((await ledger.transaction(auditBooks)).findings).toEqual([]);
    expect(await openExecs(ledger.db)).toEqual([]);
    for (const { id } of rows) {
      if (running.length === 0 && expectedState(failpoint) === "ready") expect(sandboxProcesses(dataDir, id)).toHaveLength(IDLE_PROCESSES);
      expect((await findSandbox(ledger.db, id))?.owner).toBeNull();
    }
    await ledger.close();

    const again = await engine
      .create(OWNER, { profile: "set", metadata: { key: failpoint } }, { idempotencyKey: failpoint })
      .catch((thrown: unknown) => thrown);
    expect(again).toMatchObject(
      row === undefined || row.state === "failed" ? { replayed: false } : { replayed: true, sandbox: { id: row.id } },
    );
    const live = await liveIds(engine);
    expect(live).toHaveLength(row?.state === "terminated" ? 0 : 1);
    for (const id of live) {
      expect(await runCommand(engine, OWNER, id, { shell: "cat made" })).toMatchObject({ exitCode: 0, stdout: "made\n" });
      expect((await engine.destroy(OWNER, id)).state).toBe("terminated");
    }
    await engine.sweep();
    const books = await engine.money.audit(LOCAL_OPERATOR);
    expect(books).toMatchObject({ balanced: true, findings: [], open: 0 });
    // Priced, so that there is something to balance.
    expect(books.entries).toBeGreaterThan(0);
    expect(await engine.accounts.get(LOCAL_OPERATOR, "default")).toMatchObject({ reserved_micro_usd: 0 });
    const left = hostObjects(dataDir);
    expect(left).toEqual(exactly([], left));
    expect(sessionsOnDisk(dataDir)).toEqual([]);
  });
});
