import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exactly, hostObjects, read, sandboxProcesses, scratchOf } from "../support/host-objects.ts";
import { eventually } from "../support/killed.ts";
import { endOf, liveIds, type Local, openLocal, OWNER, type Ran } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

/** Host processes whose command line has all of these words. */
function processesWith(...words: string[]): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => words.every((word) => read(`/proc/${pid}/cmdline`).split("\0").includes(word))).map(Number);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

async function nothingLeft(local: Local): Promise<void> {
  await local.engine.sweep();
  const seen = hostObjects(local.dataDir);
  expect(seen).toEqual(exactly([], seen));
}

const runtimes = (await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1);

describe.each(runtimes)("with $runtime", ({ runtime }) => {
  it("case 71: a runtime killed in the middle of an exec gives an unknown outcome, never exit 0, and ends the command", async () => {
    await using local = await openLocal("killed", { runtime });
    const { id } = await local.create();
    const idle = sandboxProcesses(local.dataDir, id).length;
    expect(await local.sh(id, "true")).toMatchObject({ outcome: "exited", exitCode: 0 });
    const { execId, events } = await local.engine.exec(OWNER, id, {
      shell: "echo up; exec sleep 299",
      stdin: { kind: "none" },
      maxOutputBytes: 1024,
    });
    const end = endOf(events);
    await eventually(() => processesWith("sleep", "299").length > 0 && read(`${scratchOf(local.dataDir, id)}/${execId}.pid`) !== "");
    const clients = processesWith("exec", id);
    expect(clients).toHaveLength(1);
    for (const pid of clients) process.kill(pid, "SIGKILL");
    expect(await end).toMatchObject({ outcome: "unknown", exitCode: null, stdout: "up\n" });
    await eventually(() => sandboxProcesses(local.dataDir, id).length === idle);
    const finished = (await local.engine.events.list(OWNER, { sandboxId: id, limit: 100 })).data.filter(
      ({ type }) => type === "exec.finished",
    );
    expect(finished.map(({ data }) => data["outcome"])).toEqual(["exited", "unknown"]);
    expect(await local.sh(id, "echo alive")).toMatchObject({ exitCode: 0, stdout: "alive\n" });
  });

  it("case 71: a runtime killed while it starts a command never gives exit 0, nor the word that it did not run where it did", async () => {
    await using local = await openLocal("starts", { runtime });
    const { id } = await local.create();
    const outcomes = new Map<string, number>();
    for (let moment = 0; moment < 25; moment++) {
      const call = local.sh(id, `touch ran-${moment}; sleep 0.3; touch done-${moment}`).catch((thrown: unknown) => thrown);
      const [client] = await eventually(() => (processesWith("exec", id).length > 0 ? processesWith("exec", id) : undefined));
      await pause(moment / 2);
      if (client !== undefined) killQuietly(client);
      const answer = await call;
      const outcome = answer instanceof Error ? "refused" : (answer as Ran).outcome;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      // On a busy machine the command may be done before its runtime is killed.
      if (outcome === "exited") expect((await local.sh(id, `ls done-${moment}`)).exitCode).toBe(0);
      else expect(answer).toMatchObject({ outcome: "unknown", exitCode: null });
    }
    console.log(Object.fromEntries(outcomes));
    // The positive control: some of those commands had begun.
    expect((await local.sh(id, "ls")).stdout).toContain("ran-");
    expect(outcomes.get("unknown") ?? 0).toBeGreaterThan(0);
  });

  it("case 73: twenty destroys at once all answer that it is gone, and nothing of it is left", async () => {
    await using local = await openLocal("twenty", { runtime });
    const { id } = await local.create();
    await local.engine.processes.start(OWNER, id, { shell: "sleep 300" });
    const second = await openLocal("twenty", { runtime, dataDir: local.dataDir });
    const engines = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? local : second).engine);
    const answers = await Promise.all(engines.map((engine) => engine.destroy(OWNER, id)));
    expect(answers.map(({ state, termination }) => [state, termination?.reason])).toEqual(
      Array.from({ length: 20 }, () => ["terminated", "user"]),
    );
    await second.opened.close();
    await nothingLeft(local);
  });

  it("case 75: with the control plane dead past max_life PID 1 ends the sandbox, and the next start settles it as expired", async () => {
    const dead = await openLocal("dead", { runtime });
    const brief = await dead.create({ max_life: "2s" });
    const lasting = await dead.create({ max_life: "10m" });
    await dead.sh(brief.id, "trap '' TERM HUP; setsid sleep 300 >/dev/null 2>&1 &");
    await dead.opened.close();
    const { dataDir } = dead;
    expect(sandboxProcesses(dataDir, brief.id).length).toBeGreaterThan(2);
    await eventually(() => sandboxProcesses(dataDir, brief.id).length === 0);
    expect(sandboxProcesses(dataDir, lasting.id)).toHaveLength(2);
    await using local = await openLocal("dead", { runtime, dataDir });
    const report = await local.engine.sweep({ adopt: true });
    expect(report).toMatchObject({ adopted: [lasting.id], ended: [{ id: brief.id, reason: "expired" }], errors: [] });
    expect(await local.engine.get(OWNER, brief.id)).toMatchObject({ state: "terminated", termination: { reason: "expired" } });
    const seen = hostObjects(local.dataDir);
    expect(seen).toEqual(exactly(await liveIds(local.engine), seen));
  });
});

describe("with the runtime of choice", () => {
  it("case 74: of a renew and an expiry at the same moment one wins, fifty times, and the host agrees with the winner", async () => {
    await using local = await openLocal("race");
    const won = { renew: 0, expiry: 0 };
    for (let round = 0; round < 50; round++) {
      const { id, expires_at: expiresAt } = await local.create({ ttl: 0.1, resources: { disk: "16MiB", inodes: 256 } });
      await pause(Date.parse(expiresAt) - Date.now());
      const renew = () => local.engine.renew(OWNER, id, { ttl: "5m" });
      const early = round % 3 === 0 ? renew() : undefined;
      const sweeping = local.engine.sweep();
      for (let ticks = 0; ticks < round % 7; ticks++) await new Promise((resolve) => setImmediate(resolve));
      const [renewed] = await Promise.allSettled([early ?? renew(), sweeping]);
      if (renewed.status === "fulfilled") {
        won.renew++;
        expect(await local.sh(id, "true")).toMatchObject({ exitCode: 0 });
        await local.engine.destroy(OWNER, id);
      } else {
        won.expiry++;
        expect(renewed.reason).toMatchObject({ code: "wrong_state" });
        await local.engine.destroy(OWNER, id);
        expect(await local.engine.get(OWNER, id)).toMatchObject({ state: "terminated", termination: { reason: "expired" } });
        expect(sandboxProcesses(local.dataDir, id)).toEqual([]);
      }
    }
    expect(won.renew * won.expiry, "both must have won at times").toBeGreaterThan(0);
    console.log(`renew won ${won.renew} times, expiry ${won.expiry} times`);
    await nothingLeft(local);
  });
});
