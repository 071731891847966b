import { spawnSync } from "node:child_process";
import { readFileSync, statfsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exactly, hostObjects, read, sandboxProcesses } from "../support/host-objects.ts";
import { eventually } from "../support/killed.ts";
import { liveIds, type Local, openLocal, OWNER } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";
import { healthUnder } from "../support/sibling.ts";

const EXHAUST = readFileSync(new URL("attacks/exhaust.py", import.meta.url), "utf8");
const attack = (...words: (string | number)[]): string[] => ["/usr/bin/python3", "-c", EXHAUST, ...words.map(String)];
const onHost = (...words: (string | number)[]): string => {
  const [program = "", ...args] = attack(...words);
  return spawnSync(program, args, { encoding: "utf8" }).stdout;
};

async function hostEqualsLedger(local: Local): Promise<void> {
  await local.engine.sweep();
  const seen = hostObjects(local.dataDir);
  expect(seen).toEqual(exactly(await liveIds(local.engine), seen));
}

// What is exhausted are the kernel's control groups; that each runtime puts a sandbox into one is read back at every create.
describe.each((await workingRuntimes(...CONTAINER_RUNTIMES)).slice(0, 1))("with $runtime", ({ runtime }) => {
  it("case 17: a fork bomb meets its pids limit, and leaves a sibling and the API alive", async () => {
    await using local = await openLocal("forks", { runtime });
    const bomb = await local.create({ resources: { pids: 64 } });
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, sandboxProcesses(local.dataDir, bomb.id).length)), 20);
    const health = await healthUnder(local, "fork bomb", () => local.exec(bomb.id, { argv: attack("forks", 3), timeout: 20 }));
    clearInterval(watch);
    // The positive control: it did fork as far as it could.
    expect(most).toBeGreaterThan(40);
    expect(most).toBeLessThanOrEqual(64);
    expect(health.failures).toEqual([]);
    expect(health.rounds).toBeGreaterThan(0);
    await eventually(() => sandboxProcesses(local.dataDir, bomb.id).length <= 2);
    expect(await local.sh(bomb.id, "echo alive")).toMatchObject({ exitCode: 0, stdout: "alive\n" });
    await local.engine.destroy(OWNER, bomb.id);
    await hostEqualsLedger(local);
  });

  it("case 17: a fork bomb that still runs is destroyed whole", async () => {
    await using local = await openLocal("bomb", { runtime });
    const { id } = await local.create({ resources: { pids: 128 } });
    await local.engine.processes.start(OWNER, id, { argv: attack("forks", 60) });
    await eventually(() => sandboxProcesses(local.dataDir, id).length > 100);
    expect((await local.engine.destroy(OWNER, id)).state).toBe("terminated");
    await hostEqualsLedger(local);
  });

  it("case 18: a memory hog is killed and its exec says so; the sandbox, a sibling and the API live on", async () => {
    await using local = await openLocal("memory", { runtime });
    expect(onHost("memory", 128), "the positive control: where there is room it gets it").toBe("touched 128\n");
    const { id } = await local.create({ resources: { memory: "96MiB" } });
    let said: unknown;
    const health = await healthUnder(
      local,
      "memory hog",
      async () => (said = await local.exec(id, { argv: attack("memory", 128), timeout: 60 })),
    );
    expect(said).toMatchObject({ oomKilled: true, stdout: "" });
    expect((said as { exitCode: number | null }).exitCode).not.toBe(0);
    expect(health.failures).toEqual([]);
    expect(await local.sh(id, "echo alive")).toMatchObject({ exitCode: 0, stdout: "alive\n", oomKilled: false });
    expect((await local.engine.get(OWNER, id)).state).toBe("ready");
    expect((await local.engine.usage(OWNER, id)).oom_kills).toBeGreaterThan(0);
  });

  it.each(["/tmp", "/dev/shm", "/run"])(
    "case 18: filling %s ends at its size, or where the sandbox dies of it, with oom as the reason",
    async (place) => {
      await using local = await openLocal("tmpfs", { runtime });
      const roomy = await local.create({ resources: { memory: "1GiB" } });
      const said = await local.exec(roomy.id, { argv: attack("fill", 600, place) });
      expect(said.stdout).toMatch(/^ENOSPC \d+\n$/);
      const written = Number(said.stdout.split(" ")[1]);
      expect(written).toBeLessThanOrEqual(256 * 1024 ** 2);
      expect(written).toBeGreaterThan(12 * 1024 ** 2);
      expect((await local.engine.usage(OWNER, roomy.id)).memory_bytes, "what is in memory is counted").toBeGreaterThan(written / 2);
      // Less memory than the place may hold: something is killed, again and again, since the files stay.
      const tight = await local.create({ resources: { memory: "16MiB" } });
      for (let round = 0; round < 6 && (await local.engine.get(OWNER, tight.id)).state === "ready"; round++) {
        await local
          .sh(tight.id, `cat /dev/zero >${place}/fill-${round}`)
          .catch((thrown: unknown) => expect(thrown).toMatchObject({ name: "SandboxerError" }));
        await local.engine.sweep();
      }
      const end = await eventually(async () => {
        const now = await local.engine.get(OWNER, tight.id);
        return now.state === "stopping" ? undefined : now;
      });
      console.log(`${place}: ${end.state} ${JSON.stringify(end.termination)}`);
      if (end.state === "terminated") expect(end.termination?.reason).toBe("oom");
      else expect((await local.engine.usage(OWNER, tight.id)).oom_kills).toBeGreaterThan(0);
      expect((await local.sh(roomy.id, "echo alive")).stdout).toBe("alive\n");
    },
  );

  it("case 18: a sandbox whose first process the kernel kills for want of memory ends with the reason oom", async () => {
    await using local = await openLocal("oom", { runtime });
    const { id } = await local.create({ resources: { memory: "32MiB" } });
    await local.exec(id, { argv: attack("memory", 64) });
    expect((await local.engine.usage(OWNER, id)).oom_kills, "the positive control: the kernel has killed").toBeGreaterThan(0);
    const init = Math.min(...sandboxProcesses(local.dataDir, id));
    expect(read(`/proc/${init}/cmdline`)).toContain("tini");
    process.kill(init, "SIGKILL");
    await eventually(() => sandboxProcesses(local.dataDir, id).length === 0);
    expect((await local.engine.sweep()).ended).toEqual([{ id, reason: "oom" }]);
  });

  it("case 19: eight spinning processes get one sandbox's share, and a sibling and the API live on", async () => {
    await using local = await openLocal("spin", { runtime });
    const { id } = await local.create({ resources: { cpu: 0.5 } });
    const before = (await local.engine.usage(OWNER, id)).cpu_seconds ?? 0;
    const began = performance.now();
    const health = await healthUnder(local, "CPU spin", () => local.exec(id, { argv: attack("spin", 2) }));
    const used = ((await local.engine.usage(OWNER, id)).cpu_seconds ?? 0) - before;
    const share = used / ((performance.now() - began) / 1000);
    console.log(`half a CPU was asked for; it used ${share.toFixed(2)}`);
    // What the kernel accounts, against the time that passed: not how fast anything was.
    expect(share).toBeLessThan(0.6);
    expect(used).toBeGreaterThan(0.2);
    expect(health.failures).toEqual([]);
  });

  it("cases 20 and 21: a full disk and a million files end at the quota; the host's space is bounded, and destroying gives it back", async () => {
    await using local = await openLocal("disk", { runtime });
    const free = () => statfsSync(local.dataDir).bavail * statfsSync(local.dataDir).bsize;
    const { id } = await local.create({ resources: { disk: "64MiB", inodes: 2000 } });
    const before = free();
    for (const place of ["/workspace", "/home/sandbox", "/var/tmp"]) {
      expect((await local.exec(id, { argv: attack("fill", 256, place) })).stdout).toMatch(/^(ENOSPC|EFBIG) \d+\n$/);
    }
    const full = await local.engine.usage(OWNER, id);
    expect(full.disk_bytes).toBeGreaterThan(48 * 1024 ** 2);
    expect(full.disk_bytes).toBeLessThan(80 * 1024 ** 2);
    expect(before - free()).toBeLessThan(160 * 1024 ** 2);
    expect((await local.sh(id, "rm -f /workspace/* /home/sandbox/fill* /var/tmp/*; echo room >again; cat again")).stdout).toBe("room\n");
    const many = (await local.exec(id, { argv: attack("files", 1_000_000, "/workspace") })).stdout;
    expect(many).toMatch(/^ENOSPC \d+\n$/);
    // mke2fs rounds inodes up to whole blocks of its tables.
    expect(Number(many.split(" ")[1])).toBeLessThanOrEqual(2032);
    expect(Number(many.split(" ")[1])).toBeGreaterThan(1900);
    expect((await local.engine.usage(OWNER, id)).inodes).toBeLessThanOrEqual(2032);
    const { id: sibling } = await local.create();
    expect((await local.sh(sibling, "echo sibling >f && cat f")).stdout).toBe("sibling\n");
    await local.engine.destroy(OWNER, id);
    await hostEqualsLedger(local);
  });
});
