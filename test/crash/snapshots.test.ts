import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { SNAPSHOT_FAILPOINTS as OURS } from "../../src/engine/index.ts";
import { SNAPSHOT_FAILPOINTS } from "../../src/providers/local/snapshots/take.ts";
import { endOfChild, startChild } from "../support/killed.ts";
import { dataDirectory, openLocal, OWNER, removeDataDirectory, runCommand } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const [runtime] = (await workingRuntimes(...CONTAINER_RUNTIMES)).map((one) => one.runtime);

describe.skipIf(runtime === undefined)("case 70 with snapshots: a kill -9 of the control plane", async () => {
  const dataDir = dataDirectory("snapshot-crash");
  const open = () => openLocal("snapshot-crash", { runtime: runtime ?? "", dataDir });
  const first = await open();
  const { id } = await first.create({ ttl: 3600 });
  await first.sh(id, "echo mine >file");
  await first.opened.close();
  afterAll(async () => {
    const { engine, opened } = await open();
    await engine.destroy(OWNER, id);
    await opened.close();
    removeDataDirectory(dataDir);
  });

  it.each([...OURS, ...SNAPSHOT_FAILPOINTS])("at %s leaves nothing half-kept and nothing standing still", async (failpoint) => {
    expect(await endOfChild(startChild("snapshots.child.ts", import.meta.url, [dataDir, runtime ?? "", failpoint, id]))).toBe("SIGKILL");
    const { engine, opened } = await open();
    onTestFinished(() => opened.close());
    expect((await engine.sweep({ adopt: true })).errors).toEqual([]);
    const kept = await engine.snapshots.list(OWNER);
    expect(kept).toEqual([]);
    const place = join(dataDir, "backends/local/snapshots");
    const found = existsSync(place) ? readdirSync(place).filter((name) => name !== "drafts") : [];
    expect(found).toEqual([]);
    expect(existsSync(join(place, "drafts")) ? readdirSync(join(place, "drafts")) : []).toEqual([]);
    expect(await runCommand(engine, OWNER, id, { shell: "cat file" })).toMatchObject({ exitCode: 0, stdout: "mine\n" });
  });
});
