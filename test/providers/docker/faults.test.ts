import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { newId, type Provider, type Ref } from "../../../src/contract/index.ts";
import { CREATE_FAILPOINTS } from "../../../src/providers/docker/create.ts";
import { type DockerEngine, IMAGE, openDockerEngine, withoutEngine } from "../../support/docker-engine.ts";
import { openProvider } from "./open.ts";
import { BESIDE, eventually, listed, op, say, specOf } from "./stage.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
const reason = withoutEngine();
if (reason !== undefined) console.log(`not tested: the Docker provider's faults at a real engine: ${reason}`);

describe.skipIf(reason !== undefined)("the Docker provider at a real engine", { timeout: 120_000 }, () => {
  let engine: DockerEngine;
  let provider: Provider;
  let disposals: (() => Promise<void>)[] = [];
  const open = async (over: object = {}, more: object = {}): Promise<Provider> => {
    const opened = await openProvider({ host: engine.host, ...over }, more);
    disposals.push(opened.dispose);
    return opened.provider;
  };
  beforeAll(async () => {
    engine = await openDockerEngine();
    provider = await open();
  }, 300_000);
  afterEach(async () => {
    for await (const ref of provider.list(op())) await provider.destroy(ref, op());
  });
  afterAll(async () => {
    for (const dispose of disposals) await dispose();
    disposals = [];
    await engine[Symbol.asyncDispose]();
  }, 60_000);
  const sandbox = async (over: object = {}): Promise<Ref> => (await provider.create(specOf(over), op())).ref;

  for (const at of CREATE_FAILPOINTS)
    test(`a control plane that is killed at ${at} leaves what the next create of the same id takes over`, async () => {
      const spec = specOf(at.startsWith("docker.create.service") ? BESIDE : {});
      const child = spawn(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", CHILD, JSON.stringify({ host: engine.host }), spec.id, at],
        { stdio: "inherit" },
      );
      expect((await once(child, "exit"))[1]).toBe("SIGKILL");
      const { ref } = await provider.create(spec, op());
      expect((await say(provider, ref, "echo up")).stdout).toBe("up\n");
      expect(await listed(provider)).toEqual([spec.id]);
      const running = (await engine.docker("ps", "-q", "--filter", `label=dev.sandboxer.id=${spec.id}`)).split("\n");
      expect(running).toHaveLength(spec.services === undefined ? 1 : 2);
    });

  test("a control plane that is killed takes its commands' trees with it", async () => {
    const id = newId("sandbox");
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", CHILD, JSON.stringify({ host: engine.host }), id, "exec"],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    const { ref, id: execId } = JSON.parse(line) as { ref: Ref; id: string };
    expect((await say(provider, ref, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 333[3]'")).stdout.trim()).toBe("1");
    child.kill("SIGKILL");
    await once(child, "exit");
    await provider.abandonExec?.(ref, execId, op());
    expect((await say(provider, ref, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 333[3]'")).stdout.trim()).toBe("0");
  });

  test("nothing gets in or out: no network, no capability, no root, no host", async () => {
    const ref = await sandbox();
    const script = `ls /sys/class/net; grep -c . /proc/net/route; grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
      mount -t tmpfs x /mnt 2>/dev/null && echo mounted; unshare -U true 2>/dev/null && echo unshared; ls /var/run/docker.sock 2>/dev/null; cat /proc/kcore 2>/dev/null | head -c1 | wc -c; kill -9 1 2>/dev/null && echo killed; id -u`;
    const { stdout } = await say(provider, ref, script);
    expect(stdout.split("\n").map((line) => line.replace(/\s+/g, " "))).toEqual([
      "lo",
      "1",
      "CapEff: 0000000000000000",
      "CapBnd: 0000000000000000",
      "NoNewPrivs: 1",
      "Seccomp: 2",
      "0",
      "1000",
      "",
    ]);
    for (const user of ["root", "0", "0:0", "1000:0"])
      await expect(say(provider, ref, { run: { argv: ["id"] }, user })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(say(provider, ref, { run: { argv: ["id"] }, user: "nobody-here" })).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("what is too large for its memory is killed and told as oom, and pids end at their limit", async () => {
    const ref = await sandbox();
    const { end } = await say(provider, ref, { run: { argv: ["python3", "-c", "x = b'x' * (400 << 20)"] } });
    expect(end).toMatchObject({ oomKilled: true });
    const forks = "for i in $(seq 200); do sleep 5 & done 2>&1 | grep -c -i 'resource temporarily unavailable'; wait";
    expect(Number((await say(provider, ref, forks)).stdout)).toBeGreaterThan(0);
    expect((await say(provider, ref, "echo alive")).stdout).toBe("alive\n");
  });

  test("an engine that is killed and started again: its sandboxes are told as stopped, and can be destroyed", async () => {
    const ref = await sandbox();
    await engine.restart();
    await eventually(async () => {
      const seen = await provider.inspect(ref, op());
      return seen !== "absent" && seen.state === "stopped";
    });
    await expect(say(provider, ref, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect(await provider.destroy(ref, op())).toBe("destroyed");
    expect(await provider.inspect(ref, op())).toBe("absent");
    const again = await sandbox();
    expect((await say(provider, again, "echo up")).stdout).toBe("up\n");
  });

  test("an engine that is not there is an error, never an empty list", async () => {
    await expect(open({ host: "unix:///no/such/docker.sock" })).rejects.toMatchObject({ code: "backend_unavailable" });
    const ref: Ref = { id: newId("sandbox"), tenant: "acme", generation: 1, native: "0".repeat(64), maxLifeAt: Date.now() };
    await expect(say(provider, ref, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect(await provider.inspect(ref, op())).toBe("absent");
    expect(await provider.destroy(ref, op())).toBe("absent");
  });

  test("images: what is not there, or has no perl, is refused by name; a user of its own is kept; its entrypoint does not run", async () => {
    await expect(sandbox({ image: "oci:sandboxer-test/missing:1" })).rejects.toMatchObject({ code: "backend_rejected" });
    const directory = mkdtempSync(join(engine.directory, "image-"));
    writeFileSync(join(directory, "Dockerfile"), `FROM ${IMAGE}\nUSER 33\nENV FROM_IMAGE=yes\nENTRYPOINT ["/bin/false"]\nVOLUME /data\n`);
    await engine.docker("build", "-q", "-t", "sandboxer-test/own:1", directory);
    mkdirSync(join(directory, "empty"));
    writeFileSync(join(directory, "empty", "Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n");
    await engine.docker("build", "-q", "-t", "sandboxer-test/empty:1", join(directory, "empty"));
    const ref = await sandbox({ image: "oci:sandboxer-test/own:1" });
    expect((await say(provider, ref, "id -u; echo $FROM_IMAGE")).stdout).toBe("33\nyes\n");
    await provider.destroy(ref, op());
    expect(await engine.docker("volume", "ls", "-q")).toBe("");
    await expect(sandbox({ image: "oci:sandboxer-test/empty:1" })).rejects.toMatchObject({ code: "backend_rejected" });
    expect(await listed(provider)).toEqual([]);
    rmSync(directory, { recursive: true, force: true });
  });

  test("TCP needs TLS that both sides believe", async () => {
    const at = (name: string) => join(engine.directory, name);
    const openssl = (...words: string[]) => execFileSync("openssl", words, { stdio: "ignore" });
    const authority = (name: string) => openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.pem`)); // prettier-ignore
    const signed = (name: string, ca: string, purpose: string) => {
      writeFileSync(at(`${name}.ext`), `subjectAltName=IP:127.0.0.1\nextendedKeyUsage=${purpose}\n`);
      openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`));
      openssl("x509", "-req", "-days", "2", "-in", at(`${name}.csr`), "-CA", at(`${ca}.pem`), "-CAkey", at(`${ca}.key`), "-CAcreateserial", "-extfile", at(`${name}.ext`), "-out", at(`${name}.pem`)); // prettier-ignore
    };
    authority("ca");
    authority("other");
    signed("server", "ca", "serverAuth");
    signed("client", "ca", "clientAuth");
    signed("stranger", "other", "clientAuth");
    const port = 20_000 + (process.pid % 20_000);
    const second = await openDockerEngine([
      "-H",
      `tcp://127.0.0.1:${port}`,
      "--tlsverify",
      "--tlscacert",
      at("ca.pem"),
      "--tlscert",
      at("server.pem"),
      "--tlskey",
      at("server.key"),
    ]);
    try {
      const host = `tcp://127.0.0.1:${port}`;
      const good = await open({ host, tls: { ca: at("ca.pem"), cert: at("client.pem"), key: at("client.key") } });
      const { ref } = await good.create(specOf(), op());
      expect((await say(good, ref, { run: { argv: ["cat"] } }, { kind: "bytes", bytes: Buffer.from("over TLS") })).stdout).toBe("over TLS");
      expect(await good.destroy(ref, op())).toBe("destroyed");
      await expect(open({ host, tls: { ca: at("other.pem"), cert: at("client.pem"), key: at("client.key") } })).rejects.toMatchObject({
        code: "backend_auth",
      });
      await expect(open({ host, tls: { ca: at("ca.pem"), cert: at("stranger.pem"), key: at("stranger.key") } })).rejects.toMatchObject({
        code: "backend_auth",
      });
    } finally {
      await second[Symbol.asyncDispose]();
    }
  });

  test("what a control plane that died has left of probing and preparing is removed by the next sweep, and what is at work is not", async () => {
    const owner = "--label=dev.sandboxer.helper=conformance.docker";
    const run = (until: number) =>
      engine.docker("run", "-d", "--network=none", owner, `--label=dev.sandboxer.helper-until=${until}`, IMAGE, "sleep", "60");
    const [left, working] = [await run(Date.now() - 1), await run(Date.now() + 60_000)];
    await provider.maintain?.(op());
    expect(await engine.docker("ps", "-aq", "--no-trunc")).toBe(working);
    expect(left).not.toBe(working);
    await engine.docker("rm", "-f", working);
  });

  test("a name that is taken by another generation is a conflict, and the one that has it lives on", async () => {
    const spec = specOf();
    const ref = await sandbox(spec);
    await expect(provider.create({ ...spec, generation: 2 }, op())).rejects.toMatchObject({ code: "conflict" });
    expect((await say(provider, ref, "echo alive")).stdout).toBe("alive\n");
  });
});
