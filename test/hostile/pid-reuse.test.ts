import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openLedger, insertExec } from "../../src/ledger/index.ts";
import { exactly, hostObjects, read, sandboxProcesses, scratchOf } from "../support/host-objects.ts";
import { eventually } from "../support/killed.ts";
import { dataDirectory, openLocal, OWNER } from "../support/local-engine.ts";

/** A process of this host that has nothing to do with any sandbox. */
function bystander(): { pid: number; lives(): boolean } {
  const child = spawn("sleep", ["300"], { stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    pid: child.pid ?? 0,
    lives: () => child.exitCode === null && child.signalCode === null && read(`/proc/${child.pid}/stat`) !== "",
  };
}

describe("case 79: a process id that is used again", () => {
  it("of a sandbox's first process: whoever has it now is neither killed nor taken for the sandbox", async () => {
    const dataDir = dataDirectory("pid");
    const first = await openLocal("pid", { dataDir });
    const { id } = await first.create();
    await first.opened.close();
    const path = join(dataDir, "backends/local/sandboxes", id, "sandbox.json");
    const record = JSON.parse(readFileSync(path, "utf8")) as { init: { pid: number; startTicks: number } };
    expect(sandboxProcesses(dataDir, id)).toContain(record.init.pid);
    process.kill(record.init.pid, "SIGKILL");
    await eventually(() => sandboxProcesses(dataDir, id).length === 0);
    const other = bystander();
    writeFileSync(path, JSON.stringify({ ...record, init: { ...record.init, pid: other.pid } }));

    await using local = await openLocal("pid", { dataDir });
    expect((await local.engine.sweep({ adopt: true })).ended).toEqual([{ id, reason: "backend_lost" }]);
    expect(other.lives()).toBe(true);
    const seen = hostObjects(dataDir);
    expect(seen).toEqual(exactly([], seen));
  });

  it("of a command's: an abandoned exec does not end whoever has it now", async () => {
    const dataDir = dataDirectory("pid");
    const first = await openLocal("pid", { dataDir });
    const { id, tenant } = await first.create();
    await first.sh(id, "true");
    await first.opened.close();
    const other = bystander();
    const ledger = openLedger(dataDir);
    const execId = "ex01m84gzzzzzzzzzzzzzzzz";
    await ledger.transaction((tx) =>
      insertExec(tx, { id: execId, sandboxId: id, tenant, owner: "in01m84gzzzzzzzzzzzzzzzz", at: Date.now() }),
    );
    await ledger.close();
    mkdirSync(scratchOf(dataDir, id), { recursive: true });
    writeFileSync(join(scratchOf(dataDir, id), `${execId}.pid`), String(other.pid));

    await using local = await openLocal("pid", { dataDir });
    expect((await local.engine.sweep({ adopt: true })).errors).toEqual([]);
    expect(other.lives()).toBe(true);
    expect(await local.sh(id, "echo alive")).toMatchObject({ stdout: "alive\n" });
    const finished = (await local.engine.events.list(OWNER, { sandboxId: id, limit: 100 })).data.find(
      ({ data }) => data["exec_id"] === execId,
    );
    expect(finished?.data["outcome"]).toBe("unknown");
  });

  it("of a background process: signals and the sandbox's end do not reach whoever has it now", async () => {
    const dataDir = dataDirectory("pid");
    const first = await openLocal("pid", { dataDir });
    const { id } = await first.create();
    const { id: processId } = await first.engine.processes.start(OWNER, id, { shell: "sleep 0.2" });
    await first.engine.processes.wait(OWNER, id, processId, 30);
    await first.opened.close();
    const other = bystander();
    const directory = join(scratchOf(dataDir, id), "processes", processId);
    // As if its end was not seen, and both ids were somebody else's by now.
    rmSync(join(directory, "exit"));
    for (const name of ["pid", "tree"]) {
      const [, startTicks] = readFileSync(join(directory, name), "utf8").split(" ");
      writeFileSync(join(directory, name), `${other.pid} ${startTicks}`);
    }

    await using local = await openLocal("pid", { dataDir });
    await local.engine.sweep({ adopt: true });
    await local.engine.processes
      .signal(OWNER, id, processId, "SIGKILL")
      .catch((thrown: unknown) => expect(thrown).toMatchObject({ code: "wrong_state" }));
    expect((await local.engine.processes.get(OWNER, id, processId)).state).toBe("ended");
    await local.engine.destroy(OWNER, id);
    expect(other.lives()).toBe(true);
  });
});
