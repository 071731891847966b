import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { REST_FAILPOINTS } from "../../src/engine/index.ts";
import { findSandbox, openLedger } from "../../src/ledger/index.ts";
import { REST_FAILPOINTS as LOCAL_FAILPOINTS } from "../../src/providers/local/rest.ts";
import { boundaryPids, sessionsOnDisk } from "../support/boundary-process.ts";
import { cgroupRoots, exactly, hostObjects, mountsBelow, read, sandboxProcesses, scratchDirectories } from "../support/host-objects.ts";
import { endOfChild, eventually, startChild } from "../support/killed.ts";
import { dataDirectory, liveIds, openLocal, OWNER, removeDataDirectory, runCommand } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const [{ runtime } = { runtime: "crun" }] = await workingRuntimes(...CONTAINER_RUNTIMES);

const stateAfter = (failpoint: string): string => (/pause/.test(failpoint) ? "paused" : /suspend/.test(failpoint) ? "suspended" : "ready");

/** The processes of a pause and of a resume live on; those of a suspend and of a wake were ended. */
const processState = (failpoint: string): string => (/suspend|wake/.test(failpoint) ? "ended" : "running");

const dataDir = dataDirectory("rest");
const open = () => openLocal("rest", { runtime, dataDir });
afterAll(() => {
  for (const pid of boundaryPids(dataDir)) process.kill(pid, "SIGKILL");
  removeDataDirectory(dataDir);
});

describe("a kill -9 of the control plane", () => {
  it.each([...REST_FAILPOINTS, ...LOCAL_FAILPOINTS])(
    "at %s is settled by the next one: it is where it was being taken",
    async (failpoint) => {
      expect(await endOfChild(startChild("rest.child.ts", import.meta.url, [dataDir, runtime, failpoint]))).toBe("SIGKILL");
      const { engine, opened } = await open();
      onTestFinished(async () => {
        for (const id of await liveIds(engine)) await engine.destroy(OWNER, id);
        await engine.sweep();
        const left = hostObjects(dataDir);
        expect(left).toEqual(exactly([], left));
        await opened.close();
      });
      expect((await engine.sweep({ adopt: true })).errors).toEqual([]);
      const [id = ""] = await liveIds(engine);
      const state = stateAfter(failpoint);
      expect(await engine.get(OWNER, id)).toMatchObject({ state, desired: state === "ready" ? "running" : state, state_lost: false });
      const seen = { ...hostObjects(dataDir), helpers: [] };
      const nothing = { running: [], groups: [], states: [], scratch: [], networks: [] };
      // What listens inside keeps the namespace of a suspended one until it listens in the next.
      if (state === "suspended") expect(seen).toMatchObject({ ...nothing, directories: [id], slots: [id] });
      else expect(seen).toEqual(exactly([id], seen));
      expect((await engine.processes.list(OWNER, id)).map((process) => process.state)).toEqual([processState(failpoint)]);

      expect(await engine.resume(OWNER, id)).toMatchObject({ state: "ready", state_lost: false });
      expect(await runCommand(engine, OWNER, id, { shell: "cat kept" })).toMatchObject({ exitCode: 0, stdout: "kept\n" });
      expect((await engine.processes.list(OWNER, id)).map((process) => process.state)).toEqual([processState(failpoint)]);
      expect((await engine.sweep()).errors).toEqual([]);
      expect(await engine.network.get(OWNER, id)).toMatchObject({ state: "attached" });
      expect(sessionsOnDisk(dataDir)).toEqual([id]);
      const ledger = openLedger(dataDir);
      expect((await findSandbox(ledger.db, id))?.owner).toBeNull();
      await ledger.close();
    },
  );
});

const thaws = (group: string) => [[join(group, "freezer.state"), "THAWED"], [join(group, "cgroup.freeze"), "0"]] as const; // prettier-ignore

/** The first process of a sandbox takes the others with it. */
function kill(pid: number): void {
  if (read(`/proc/${pid}/stat`) === "") return;
  spawnSync("kill", ["-KILL", String(pid)], { stdio: "ignore" });
}

/** What a reboot does to a host: everything in memory is gone, the data directory is as it was. */
async function reboot(ids: readonly string[]): Promise<void> {
  const instance = read(join(dataDir, "instance")).trim();
  for (const pid of [...ids.flatMap((id) => sandboxProcesses(dataDir, id)), ...boundaryPids(dataDir)]) kill(pid);
  // What stands still takes a signal when it is let go.
  for (const file of cgroupRoots()
    .flatMap((root) => ids.map((id) => join(root, "sand-boxer", instance, id)))
    .flatMap(thaws)) {
    const [path, word] = file;
    if (existsSync(path)) writeFileSync(path, word);
  }
  for (const id of ids) await eventually(() => sandboxProcesses(dataDir, id).length === 0);
  for (const helper of hostObjects(dataDir).helpers) {
    const pid = Number(helper.split(" ")[0]);
    kill(pid);
  }
  for (const root of cgroupRoots()) for (const id of ids) spawnSync("rmdir", [join(root, "sand-boxer", instance, id)], { stdio: "ignore" });
  for (const mount of mountsBelow(dataDir).toReversed()) spawnSync("umount", ["-n", mount]);
  expect(mountsBelow(dataDir)).toEqual([]);
  for (const directory of scratchDirectories(dataDir)) rmSync(directory, { recursive: true, force: true });
}

describe("a reboot of the host", () => {
  it("brings persistent sandboxes back as suspended with their disks, says where one is lost, and ends the others", async () => {
    const first = await open();
    await first.engine.profiles.apply(OWNER, { kind: "profile", name: "stays", version: 1, persistence: "persistent" });
    const make = async (request: object) => {
      const { id } = (await first.engine.create(OWNER, request, {})).sandbox;
      await runCommand(first.engine, OWNER, id, { shell: "echo kept >kept" });
      return id;
    };
    const [kept, lost, paused] = [await make({ profile: "stays" }), await make({ profile: "stays" }), await make({ profile: "stays" })];
    const plain = await make({});
    await first.engine.processes.start(OWNER, kept, { shell: "sleep 300" });
    await first.engine.pause(OWNER, paused, {});
    await first.opened.close();
    const slots = join(dataDir, "backends", "local", "slots");
    const [slot] = readdirSync(join(slots, "live")).filter((name) => name.endsWith(`.${lost}`));
    await reboot([kept, lost, paused, plain]);
    rmSync(join(slots, "disks", `${slot?.split(".")[0]}.img`));

    const { engine, opened } = await open();
    onTestFinished(async () => {
      for (const id of await liveIds(engine)) await engine.destroy(OWNER, id);
      await engine.sweep();
      await opened.close();
    });
    const report = await engine.sweep({ adopt: true });
    expect(report).toMatchObject({ errors: [], ended: [{ id: plain, reason: "backend_lost" }] });
    for (const id of [kept, lost, paused])
      expect(await engine.get(OWNER, id)).toMatchObject({ state: "suspended", resting: { because: "stopped" } });
    for (const [id, state_lost, stdout] of [[kept, false, "kept\n"], [paused, false, "kept\n"], [lost, true, ""]] as const) {
      expect(await engine.resume(OWNER, id)).toMatchObject({ state: "ready", state_lost });
      expect((await runCommand(engine, OWNER, id, { shell: "cat kept" })).stdout).toBe(stdout);
    } // prettier-ignore
    expect((await engine.processes.list(OWNER, kept)).map(({ state }) => state)).toEqual(["ended"]);
  });
});
