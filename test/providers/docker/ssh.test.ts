import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Provider, Ref } from "../../../src/contract/index.ts";
import { type DockerEngine, openDockerEngine, withoutEngine } from "../../support/docker-engine.ts";
import { openSshd, type Sshd, withoutSshd } from "../../support/sshd.ts";
import { openProvider } from "./open.ts";
import { eventually, op, say, specOf } from "./stage.ts";

const OPS = fileURLToPath(new URL("../../../examples/ops/server.mjs", import.meta.url));
const reason = withoutEngine() ?? withoutSshd();
if (reason !== undefined) console.log(`not tested: an engine over a real sshd: ${reason}`);

describe.skipIf(reason !== undefined)("an engine over a real sshd", { timeout: 120_000 }, () => {
  let engine: DockerEngine;
  let sshd: Sshd;
  let ops: ChildProcess;
  let opsUrl: string;
  const disposals: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    engine = await openDockerEngine();
    // One session a connection: channels to the engine's socket are no sessions.
    sshd = await openSshd(["MaxSessions 1"]);
    process.env["SBX_OPS_TOKEN"] = "a-token-of-this-test";
    writeFileSync(
      join(sshd.directory, "hosts.json"),
      JSON.stringify({ box1: { address: "127.0.0.1", port: sshd.port, user: "root", principals: ["root"] } }),
    );
    ops = spawn(process.execPath, [OPS, join(sshd.directory, "hosts.json"), join(sshd.directory, "user-ca"), "0"], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, OPS_TOKEN: "a-token-of-this-test" },
    });
    const [line] = (await once(createInterface(ops.stdout as NonNullable<typeof ops.stdout>), "line")) as [string];
    opsUrl = `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}`;
  }, 300_000);
  afterEach(async () => {
    for (const dispose of disposals.splice(0)) await dispose();
    const left = await engine.docker("ps", "-aq");
    if (left !== "") await engine.docker("rm", "-f", ...left.split("\n"));
  });
  afterAll(async () => {
    ops.kill();
    await sshd[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  }, 60_000);

  const open = async (ssh: object): Promise<Provider> => {
    const { provider, dispose } = await openProvider({ ssh: ssh as never, socket: engine.socket });
    disposals.push(dispose);
    return provider;
  };
  const sandbox = async (provider: Provider): Promise<Ref> => (await provider.create(specOf(), op())).ref;
  const works = async (provider: Provider): Promise<void> => {
    const ref = await sandbox(provider);
    expect((await say(provider, ref, "echo over ssh")).stdout).toBe("over ssh\n");
    expect(await provider.destroy(ref, op())).toBe("destroyed");
  };
  const reach = () => ({ form: "direct", address: "127.0.0.1", port: sshd.port });
  const identity = () => ({ form: "file", private_key: sshd.userKeyFile });
  const pinned = () => ({ form: "pinned", keys: [sshd.hostKey] });

  test("with a key file and a pinned host key", async () =>
    works(await open({ reach: reach(), identity: identity(), host_key: pinned() })));

  test("with what an ssh configuration says of a host, and a key that an authority has signed", async () => {
    const file = join(sshd.directory, "ssh_config");
    writeFileSync(
      file,
      `Host box1\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  User root\n  IdentityFile ${sshd.userKeyFile}\n  IdentitiesOnly yes\n`,
    );
    await works(await open({ reach: { form: "ssh-config", host: "box1", file }, host_key: { form: "ca", keys: [sshd.hostAuthority] } }));
  });

  test("with a key in an agent", async () => {
    const socket = join(sshd.directory, "agent.sock");
    const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    try {
      await eventually(
        async () =>
          (
            await once(
              spawn("ssh-add", ["-q", sshd.userKeyFile], { stdio: "ignore", env: { ...process.env, SSH_AUTH_SOCK: socket } }),
              "exit",
            )
          )[0] === 0,
      );
      await works(await open({ reach: reach(), identity: { form: "ssh-agent", socket }, host_key: pinned() }));
    } finally {
      agent.kill();
    }
  });

  test("with addresses and certificates by HTTP, from the reference server", async () => {
    const http = { form: "http", token_env: "SBX_OPS_TOKEN" };
    await works(
      await open({
        reach: { ...http, name: "box1", url: `${opsUrl}/reach` },
        identity: { ...http, url: `${opsUrl}/certify` },
        host_key: { form: "ca", keys: [sshd.hostAuthority] },
      }),
    );
    await expect(
      open({ reach: { ...http, name: "box2", url: `${opsUrl}/reach` }, identity: identity(), host_key: pinned() }),
    ).rejects.toMatchObject({ code: "backend_unavailable" });
    process.env["SBX_WRONG_TOKEN"] = "wrong";
    await expect(
      open({ reach: reach(), identity: { form: "http", token_env: "SBX_WRONG_TOKEN", url: `${opsUrl}/certify` }, host_key: pinned() }),
    ).rejects.toMatchObject({ code: "backend_auth" });
  });

  test("with certificates by a command: a short one is renewed when a connection is made anew, one that has expired is refused", async () => {
    const script = join(sshd.directory, "certify.mjs");
    const count = join(sshd.directory, "certified");
    const seconds = join(sshd.directory, "seconds");
    const source = `import { execFileSync } from "node:child_process"; import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
      const { public_key, principal } = JSON.parse(readFileSync(0, "utf8")); const ttl = Number(readFileSync(${JSON.stringify(seconds)}, "utf8"));
      const at = mkdtempSync(${JSON.stringify(join(sshd.directory, "sign-"))}); writeFileSync(at + "/key.pub", public_key);
      execFileSync("ssh-keygen", ["-q", "-s", ${JSON.stringify(join(sshd.directory, "user-ca"))}, "-I", "x", "-n", principal, "-V", ttl < 0 ? "-1h:-1m" : "-1m:+" + ttl + "s", at + "/key.pub"]);
      appendFileSync(${JSON.stringify(count)}, "x");
      console.log(JSON.stringify({ certificate: readFileSync(at + "/key-cert.pub", "utf8").trim(), expires_at: new Date(Date.now() + Math.abs(ttl) * 1000).toISOString() }));`;
    writeFileSync(script, source);
    chmodSync(script, 0o755);
    writeFileSync(seconds, "3");
    const command = { form: "command", argv: [process.execPath, script], ttl_seconds: 30 };
    const provider = await open({ reach: reach(), identity: command, host_key: pinned() });
    const ref = await sandbox(provider);
    await new Promise((resolve) => setTimeout(resolve, 3500));
    // Its certificate has expired: a connection that stands goes on, and the next one has a new one.
    expect((await say(provider, ref, "echo still")).stdout).toBe("still\n");
    expect(readFileSync(count, "utf8")).toBe("x");
    await sshd.restart();
    expect((await say(provider, ref, "echo again")).stdout).toBe("again\n");
    expect(readFileSync(count, "utf8")).toBe("xx");
    writeFileSync(seconds, "-60");
    await expect(open({ reach: reach(), identity: command, host_key: pinned() })).rejects.toMatchObject({ code: "backend_auth" });
  });

  test("a host key that is not the known one is refused, and so are a stranger and a host that is not there", async () => {
    await expect(
      open({ reach: reach(), identity: identity(), host_key: { form: "pinned", keys: [sshd.otherHostKey] } }),
    ).rejects.toMatchObject({ code: "backend_auth" });
    const known = join(sshd.directory, "empty_known_hosts");
    writeFileSync(known, "");
    await expect(open({ reach: reach(), identity: identity(), host_key: { form: "known-hosts", file: known } })).rejects.toMatchObject({
      code: "backend_auth",
    });
    expect(readFileSync(known, "utf8")).toBe("");
    await expect(
      open({ reach: reach(), identity: { form: "file", private_key: sshd.strangerKeyFile }, host_key: pinned() }),
    ).rejects.toMatchObject({ code: "backend_auth" });
    await expect(open({ reach: { ...reach(), port: 1 }, identity: identity(), host_key: pinned() })).rejects.toMatchObject({
      code: "backend_unavailable",
    });
  });

  test("many sandboxes and commands at once go over one connection, whatever MaxSessions is", async () => {
    const provider = await open({ reach: reach(), identity: identity(), host_key: pinned() });
    const refs = await Promise.all(Array.from({ length: 10 }, () => sandbox(provider)));
    const said = await Promise.all(refs.flatMap((ref) => [0, 1].map((at) => say(provider, ref, `sleep 1; echo ${at}`))));
    expect(said.map(({ stdout }) => stdout)).toEqual(refs.flatMap(() => ["0\n", "1\n"]));
    expect(sshd.connections()).toHaveLength(1);
  });

  test("a connection that is cut in the middle of a command is an error, never a success; its tree ends; the next command goes through", async () => {
    const provider = await open({ reach: reach(), identity: identity(), host_key: pinned() });
    const ref = await sandbox(provider);
    const broken = say(provider, ref, "sleep 3333");
    const failed = expect(broken).rejects.toMatchObject({ code: expect.stringMatching(/^backend_/) });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (const pid of sshd.connections()) process.kill(pid, "SIGKILL");
    await failed;
    await eventually(
      async () => (await say(provider, ref, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 333[3]'")).stdout.trim() === "0",
    );
    await sshd.stop();
    await expect(provider.list(op())[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "backend_unavailable" });
    await sshd.start();
    expect((await say(provider, ref, "echo back")).stdout).toBe("back\n");
  });
});
