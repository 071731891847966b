import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Provider, Ref, SandboxSpec, Services } from "../../../src/contract/index.ts";
import { type DockerEngine, IMAGE, openDockerEngine, withoutEngine } from "../../support/docker-engine.ts";
import { openProvider } from "./open.ts";
import { eventually, listed, op, say, specOf } from "./stage.ts";

const reason = withoutEngine();
if (reason !== undefined) console.log(`not tested: services beside a sandbox at a real engine: ${reason}`);

/** A real database, as its own user, with its data on a volume. */
const REDIS: Services[string] = {
  image: IMAGE,
  command: ["redis-server", "--dir", "/data", "--save", "", "--appendonly", "yes", "--bind", "127.0.0.1"],
  volumes: ["data:/data"],
  healthcheck: { test: ["CMD", "redis-cli", "ping"], interval: 1 },
};

describe.skipIf(reason !== undefined)("services beside a sandbox at a real engine", { timeout: 120_000 }, () => {
  let engine: DockerEngine;
  let provider: Provider;
  let dispose: () => Promise<void>;
  beforeAll(async () => {
    engine = await openDockerEngine();
    ({ provider, dispose } = await openProvider({ host: engine.host }));
  }, 300_000);
  afterEach(async () => {
    for await (const ref of provider.list(op())) await provider.destroy(ref, op());
    expect(await engine.docker("ps", "-aq")).toBe("");
    expect(await engine.docker("volume", "ls", "-q")).toBe("");
  });
  afterAll(async () => {
    await dispose();
    await engine[Symbol.asyncDispose]();
  }, 60_000);
  const sandbox = async (services: Services, over: Partial<SandboxSpec> = {}): Promise<Ref> =>
    (await provider.create(specOf({ services, ...over }), op())).ref;

  test("a database is healthy when the sandbox is ready, found under its name, and nothing else can be reached", async () => {
    const ref = await sandbox({ db: REDIS });
    expect((await say(provider, ref, "redis-cli -h db set answer 42; redis-cli -h db get answer; ls /sys/class/net")).stdout).toBe(
      "OK\n42\nlo\n",
    );
    expect(await listed(provider)).toEqual([ref.id]);
    // The sandbox's user is not the service's, and neither has a capability.
    expect((await say(provider, ref, "grep -h CapEff /proc/[0-9]*/status | sort -u")).stdout).toBe("CapEff:\t0000000000000000\n");
    expect(await provider.destroy(ref, op())).toBe("destroyed");
    expect(await provider.destroy(ref, op())).toBe("absent");
  });

  test("one waits for another's health; one that does not come up fails the create with its last words and leaves nothing", async () => {
    const ref = await sandbox({
      db: REDIS,
      filler: {
        image: IMAGE,
        command: "redis-cli -h db set filled yes && exec sleep 600",
        depends_on: { db: { condition: "service_healthy" } },
      },
    });
    await eventually(async () => (await say(provider, ref, "redis-cli -h db get filled")).stdout === "yes\n");
    await provider.destroy(ref, op());
    await expect(
      sandbox({ db: { image: IMAGE, command: "echo the disk is upside down; exit 3", healthcheck: { test: "true" } } }),
    ).rejects.toMatchObject({
      code: "backend_rejected",
      message: expect.stringMatching(/service db ended with 3: the disk is upside down/),
    });
    expect(await listed(provider)).toEqual([]);
  });

  test("each says how it is, and what it wrote can be read and followed, also by a name that is none", async () => {
    const chatty = { image: IMAGE, command: "echo begun; echo wrong >&2; while :; do sleep 0.2; echo tick; done" };
    const two = await sandbox({ db: REDIS, chatty });
    const { beside } = provider;
    expect(await beside?.list(two, op())).toEqual([
      { object: "service", name: "chatty", state: "running", health: null, exit_code: null },
      { object: "service", name: "db", state: "running", health: "healthy", exit_code: null },
    ]);
    const read = async (name: string, options: { tail: number; follow: boolean }, until: RegExp): Promise<Record<string, string>> => {
      const text: Record<string, string> = { stdout: "", stderr: "" };
      for await (const { type, data } of beside!.logs(two, name, options, op())) {
        text[type] += Buffer.from(data).toString("utf8");
        if (until.test(text["stdout"] ?? "")) break;
      }
      return text;
    };
    expect((await read("db", { tail: 1000, follow: false }, /never/))["stdout"]).toContain("Ready to accept connections");
    expect(await read("chatty", { tail: 1000, follow: true }, /(tick\n){3}/)).toMatchObject({
      stdout: expect.stringMatching(/^begun\ntick/),
      stderr: "wrong\n",
    });
    expect((await read("chatty", { tail: 1, follow: false }, /never/))["stdout"]).toBe("tick\n");
    await expect(read("bd", { tail: 1, follow: false }, /never/)).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("it has chatty, db") }); // prettier-ignore
    const stopped = new AbortController();
    const followed = (async () => {
      for await (const _ of beside!.logs(two, "db", { tail: 0, follow: true }, { ...op(), signal: stopped.signal })) continue;
    })();
    stopped.abort();
    await expect(followed).rejects.toMatchObject({ code: "canceled" });
  });

  test("services end with their sandbox at its max_life, with nobody watching", async () => {
    const ref = await sandbox({ db: REDIS }, { maxLifeAt: Date.now() + 8000 });
    const services = (await engine.docker("ps", "-q", "--filter", "label=com.docker.compose.service=db")).split("\n");
    expect(services).toHaveLength(1);
    await eventually(async () => (await engine.docker("ps", "-q")) === "");
    const seen = await provider.inspect(ref, op());
    expect(seen).toMatchObject({ state: "stopped", stoppedBecause: "expired" });
  });

  test("what stands on the engine's host is a compose project, which its own tools list", async () => {
    const ref = await sandbox({ db: REDIS });
    const projects = await engine.docker(
      "ps",
      "-a",
      "--filter",
      "label=com.docker.compose.project",
      "--format",
      '{{.Label "com.docker.compose.project"}} {{.Label "com.docker.compose.service"}}',
    );
    expect(projects).toBe(`sandboxer-conformance.docker-${ref.id} db`);
  });
});
