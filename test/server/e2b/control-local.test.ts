import { chmod, mkdtemp, rm } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Sandbox } from "e2b";
import { expect, test, onTestFinished } from "vitest";
import { LOCAL_OPERATOR } from "../../../src/contract/index.ts";
import { openE2bDoor } from "./e2b-door.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: test/server/e2b/control-local needs root, as its sandboxes have disks of their own");

test.skipIf(!isRoot)(
  "over the local runtime the base template has E2B's home and variables, and the control plane works the same",
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "sbx-e2b-local-"));
    await chmod(dataDir, 0o711);
    // Runs after the door is closed, as what was put off last is done first.
    onTestFinished(async () => {
      const disks = join(dataDir, "backends", "local", "slots", "disks");
      for (const name of readdirSync(disks, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
        execFileSync("umount", ["-q", join(disks, name.name)], { stdio: "ignore" });
      }
      await rm(dataDir, { recursive: true, force: true });
    });
    const door = await openE2bDoor({ backends: [{ name: "local", provider: "local" }] }, { dataDir });
    const connection = await door.connection();
    const sandbox = await Sandbox.create({ ...connection, envs: { FROM_SDK: "yes" } });
    try {
      const { events } = await door.opened.engine.exec(LOCAL_OPERATOR, sandbox.sandboxId, {
        shell: 'cd && echo "$HOME $USER $FROM_SDK $E2B_SANDBOX $(pwd) $(pwd -P)" && echo ~user && touch /home/user/a && ls /home/sandbox',
        stdin: { kind: "none" },
        maxOutputBytes: 10_000,
      });
      let text = "";
      for await (const event of events) if (event.type === "stdout" || event.type === "stderr") text += Buffer.from(event.data).toString();
      expect(text).toBe("/home/user user yes true /home/user /home/sandbox\n/home/user\na\n");
      const [point] = await sandbox.getMetrics();
      expect(point?.memTotal).toBe(512 * 1024 ** 2);
      expect(point?.memUsed).toBeGreaterThan(0);
      expect((await sandbox.getInfo()).state).toBe("running");
    } finally {
      expect(await sandbox.kill()).toBe(true);
    }
    expect(await Sandbox.list(connection).nextItems()).toEqual([]);
  },
);
