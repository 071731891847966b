import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, type Sandbox } from "../../src/contract/index.ts";
import { type DockerEngine, IMAGE, openDockerEngine, withoutEngine } from "../support/docker-engine.ts";
import { type Local, localConfig, openLocal, OWNER } from "../support/local-engine.ts";
import { openSshd, type Sshd, withoutSshd } from "../support/sshd.ts";

const SALES = join(import.meta.dirname, "../../examples/sales");
const reason = withoutEngine() ?? withoutSshd();
if (reason !== undefined) console.log(`not tested: one profile over local, docker and docker by SSH: ${reason}`);

const PROFILE = {
  kind: "profile",
  name: "anywhere",
  version: 1,
  image: "host",
  resources: { cpu: 1, memory: "256MiB", pids: 64 },
  lifetime: { ttl: "5m", max_life: "10m" },
  env: { GREETING: "hello" },
  setup: ["mkdir -p out"],
};
const WITH_DATABASE = {
  ...PROFILE,
  name: "with-redis",
  services: {
    db: {
      image: IMAGE,
      command: ["redis-server", "--bind", "127.0.0.1"],
      healthcheck: { test: ["CMD", "redis-cli", "ping"], interval: "1s" },
    },
  },
};

/** Each says the same wherever it runs. */
const TASKS: Readonly<Record<string, string>> = {
  "python over a CSV": "python3 analyse.py sales.csv",
  "a git repository":
    "git init -q repo && cd repo && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m first && git log --format=%s",
  "a shell pipeline": "seq 1 1000 | awk '{ total += $1 } END { print total }' | tee out/total",
  "its variables and its place": 'echo "$GREETING from $(pwd) as $(id -un)"',
  "an exit code": "exit 7",
  "an end by a signal": "kill -TERM $$",
  "standard error apart": "echo out; echo err >&2",
  "no network": "grep -c : /proc/net/dev; cat /proc/net/route | wc -l",
  "memory that is too much": "python3 -c \"x = b'x' * (600 << 20)\"",
};

describe.skipIf(reason !== undefined)("one profile", { timeout: 120_000 }, () => {
  let engine: DockerEngine;
  let sshd: Sshd;
  let local: Local;
  beforeAll(async () => {
    engine = await openDockerEngine();
    sshd = await openSshd();
    const ssh = {
      reach: { form: "direct", address: "127.0.0.1", port: sshd.port },
      identity: { form: "file", private_key: sshd.userKeyFile },
      host_key: { form: "pinned", keys: [sshd.hostKey] },
    };
    const image = { image: IMAGE, pull: "never" };
    local = await openLocal("anywhere", {
      config: {
        ...localConfig(),
        backends: [
          ...(localConfig().backends ?? []),
          { name: "docker", provider: "docker", options: { ...image, host: engine.host } },
          { name: "box", provider: "docker", options: { ...image, ssh, socket: engine.socket } },
        ],
      },
    });
    for (const document of [PROFILE, WITH_DATABASE]) await local.engine.profiles.apply(OWNER, document);
  }, 300_000);
  afterAll(async () => {
    await local?.[Symbol.asyncDispose]();
    await sshd?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  }, 60_000);

  const at = (backend: string, profile = "anywhere"): Promise<Sandbox> =>
    local.create({ profile, routing: { only: [backend], allow_fallbacks: false } });

  async function results(backend: string): Promise<object> {
    const { id } = await at(backend);
    for (const name of ["sales.csv", "analyse.py"]) {
      const bytes = readFileSync(join(SALES, name));
      await local.engine.files.write(OWNER, id, name, (async function* () { yield bytes; })(), {}); // prettier-ignore
    }
    const said: Record<string, object> = {};
    for (const [name, shell] of Object.entries(TASKS)) said[name] = await local.sh(id, shell);
    await local.engine.destroy(OWNER, id);
    return said;
  }

  test("gives the same results on this machine, at an engine, and at an engine by SSH", async () => {
    const [here, docker, box] = [await results("local"), await results("docker"), await results("box")];
    expect(docker).toEqual(here);
    expect(box).toEqual(here);
    expect(here).toMatchObject({
      "an exit code": { exitCode: 7 },
      "memory that is too much": { oomKilled: true },
      "no network": { stdout: "1\n1\n" },
    });
  });

  test("with a database beside it runs where there are services, and is refused by name where there are none", async () => {
    for (const backend of ["docker", "box"]) {
      const { id, isolation } = await at(backend, "with-redis");
      expect(isolation.effective).toBe("container");
      expect((await local.sh(id, "redis-cli -h db set a 1 && redis-cli -h db get a")).stdout).toBe("OK\n1\n");
      await local.engine.destroy(OWNER, id);
    }
    await expect(at("local", "with-redis")).rejects.toMatchObject({
      code: "capability_unsupported",
      message: expect.stringContaining("services"),
    });
  });

  test("at an engine whose sandboxes are gone: the sweep settles what the ledger has, and removes what it has not", async () => {
    const { id } = await at("docker");
    const [container = ""] = (await engine.docker("ps", "-q")).split("\n");
    const instance = await engine.docker("inspect", container, "--format", '{{index .Config.Labels "dev.sandboxer.instance"}}');
    await engine.docker("rm", "-f", container);
    const orphan = [
      "--label",
      `dev.sandboxer.instance=${instance}`,
      "--label",
      `dev.sandboxer.id=${newId("sandbox")}`,
      "--label",
      "dev.sandboxer.generation=1",
    ];
    await engine.docker("run", "-d", "--network", "none", ...orphan, IMAGE, "sleep", "600");
    await expect
      .poll(async () => (await local.engine.sweep(), (await local.engine.get(OWNER, id)).state), { timeout: 60_000 })
      .toBe("terminated");
    expect(await local.engine.get(OWNER, id)).toMatchObject({ termination: { reason: "backend_lost" } });
    await expect.poll(async () => (await local.engine.sweep(), engine.docker("ps", "-aq")), { timeout: 60_000 }).toBe("");
  });
});
