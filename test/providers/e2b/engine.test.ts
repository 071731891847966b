import { rmSync } from "node:fs";
import { Sandbox } from "e2b";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LOCAL_OPERATOR, SandboxerError } from "../../../src/contract/index.ts";
import { openSandboxer, serverOver } from "../../../src/main.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import { endOfChild, startChild } from "../../support/killed.ts";
import { dataDirectory, liveIds, OWNER, runCommand } from "../../support/local-engine.ts";
import { openOwnDoor, type OwnDoor } from "./door.ts";
import { e2bConfig, KEY_VARIABLE } from "./engine-config.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("not tested: the engine over E2B, against our own door, which needs root for disks of its own");

describe.skipIf(!isRoot)("the engine with E2B as its backend", () => {
  let door: OwnDoor;
  beforeAll(async () => {
    door = await openOwnDoor();
    process.env[KEY_VARIABLE] = door.key;
  });
  afterAll(async () => {
    delete process.env[KEY_VARIABLE];
    await door[Symbol.asyncDispose]();
  });

  /** Everything that stands there, whoever made it. */
  async function upstream(): Promise<unknown[]> {
    const response = await fetch(`${door.url}/v2/sandboxes`, { headers: { "x-api-key": door.key } });
    expect(response.status).toBe(200);
    return (await response.json()) as unknown[];
  }

  test("a sandbox is made, used, shown with what is claimed of its isolation, and ended", async () => {
    const dataDir = dataDirectory("over-e2b");
    const opened = await openSandboxer({ dataDir, config: e2bConfig(door.url) });
    const { engine } = opened;
    const { sandbox } = await engine.create(OWNER, {}, {});
    expect([sandbox.backend, sandbox.isolation.effective, sandbox.isolation.runtime]).toEqual(["e2b", "container", "e2b"]);
    expect(sandbox.isolation.notes.join()).toContain("cannot be verified from here");
    expect(await runCommand(engine, OWNER, sandbox.id, { shell: "echo hello; exit 3" })).toMatchObject({ exitCode: 3, stdout: "hello\n" });
    const { id } = await engine.processes.start(OWNER, sandbox.id, { shell: "echo up; sleep 300" });
    // Another control plane, which knows nothing but the ledger.
    await opened.close();
    const again = await openSandboxer({ dataDir, config: e2bConfig(door.url) });
    expect((await again.engine.sweep({ adopt: true })).errors).toEqual([]);
    expect((await again.engine.processes.get(OWNER, sandbox.id, id)).state).toBe("running");
    expect((await again.engine.destroy(OWNER, sandbox.id)).state).toBe("terminated");
    expect(await upstream()).toEqual([]);
    await again.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test("E2B's own SDK over our door, over E2B: commands, files and a kill go through both", async () => {
    const dataDir = dataDirectory("both-ways");
    const opened = await openSandboxer({ dataDir, config: e2bConfig(door.url) });
    const server = await serverOver(opened);
    const { url } = await server.listen({ port: 0 });
    const { secret } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "sdk", tenant: "acme", scopes: ["read", "write"] });
    const sandbox = await Sandbox.create({ apiKey: secret.replace(/^sbx_/, "e2b_"), apiUrl: url, sandboxUrl: url, envs: { FROM: "sdk" } });
    expect((await sandbox.commands.run('echo "$FROM"; echo no >&2', { envs: { A: "b" } })).stdout).toBe("sdk\n");
    await sandbox.files.write("notes/a.txt", "through both");
    expect(await sandbox.files.read("notes/a.txt")).toBe("through both");
    const typed = await sandbox.commands.run("read line; echo got $line; exit 4", { background: true, stdin: true });
    await typed.sendStdin("hello\n");
    await expect(typed.wait()).rejects.toMatchObject({ exitCode: 4, stdout: "got hello\n" });
    expect(await sandbox.kill()).toBe(true);
    expect(await upstream()).toEqual([]);
    await server.close();
    await opened.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test.each(["e2b.create.before", "e2b.create.after", "create.after_provider", "create.after_ready"])(
    "a kill -9 of the control plane at %s leaves nothing that the next sweep does not find by its label",
    async (failpoint) => {
      const dataDir = dataDirectory("killed-e2b");
      const child = startChild("engine.child.ts", import.meta.url, [dataDir, door.url, failpoint]);
      expect(await endOfChild(child)).toBe("SIGKILL");
      const left = failpoint === "e2b.create.before" ? 0 : 1;
      expect(await upstream()).toHaveLength(left);
      const opened = await openSandboxer({ dataDir, config: e2bConfig(door.url) });
      const { engine } = opened;
      expect((await engine.sweep({ adopt: true })).errors).toEqual([]);
      const live = await liveIds(engine);
      // One that was ready is nobody's leftover: it is adopted.
      expect(live).toHaveLength(failpoint === "create.after_ready" ? 1 : 0);
      for (const id of live) await engine.destroy(LOCAL_OPERATOR, id);
      expect(await upstream()).toEqual([]);
      await opened.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  );

  test("an ambiguous create is told, and what it left is ended by the sweep", async () => {
    await using proxy = await FaultProxy.open(door.url);
    const dataDir = dataDirectory("ambiguous-e2b");
    const opened = await openSandboxer({ dataDir, config: e2bConfig(proxy.url) });
    const { engine } = opened;
    proxy.strike("POST", /^\/v2\/sandboxes$/, { do: "lose" });
    proxy.strike("GET", /^\/v2\/sandboxes\?/, { do: "answer", status: 200, body: [] }, 1);
    proxy.strike("*", /sandboxes/, { do: "reset" });
    const [made] = await Promise.allSettled([engine.create(OWNER, {}, {})]);
    expect(made.status === "rejected" && made.reason instanceof SandboxerError && made.reason.code).toBe("ambiguous_create");
    expect(await upstream()).toHaveLength(1);
    expect((await engine.sweep()).errors).not.toEqual([]);
    expect(await upstream()).toHaveLength(1);
    proxy.heal();
    expect((await engine.sweep()).errors).toEqual([]);
    expect([await upstream(), await liveIds(engine)]).toEqual([[], []]);
    await opened.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test("a sandbox of another data directory under the same account is neither listed nor swept", async () => {
    const [mine, theirs] = [dataDirectory("mine-e2b"), dataDirectory("theirs-e2b")];
    const one = await openSandboxer({ dataDir: theirs, config: e2bConfig(door.url) });
    const { sandbox } = await one.engine.create(OWNER, {}, {});
    const two = await openSandboxer({ dataDir: mine, config: e2bConfig(door.url) });
    expect((await two.engine.sweep({ adopt: true })).orphans_removed).toEqual([]);
    expect(await upstream()).toHaveLength(1);
    await one.engine.destroy(OWNER, sandbox.id);
    for (const opened of [one, two]) await opened.close();
    for (const directory of [mine, theirs]) rmSync(directory, { recursive: true, force: true });
  });
});
