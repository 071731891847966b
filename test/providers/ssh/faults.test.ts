import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { newId, type Provider, type Ref } from "../../../src/contract/index.ts";
import { CREATE_FAILPOINTS } from "../../../src/providers/ssh/create.ts";
import { openSshd, type Sshd, withoutSshd } from "../../support/sshd.ts";
import { eventually, listed, say } from "../docker/stage.ts";
import { op, openProvider, optionsFor, rootOf, specOf } from "./open.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
const reason = withoutSshd();
if (reason !== undefined) console.log(`not tested: the SSH provider's faults at a real sshd: ${reason}`);

describe.skipIf(reason !== undefined)("the SSH provider at a real sshd", { timeout: 60_000 }, () => {
  let sshd: Sshd;
  let provider: Provider;
  const disposals: (() => Promise<void>)[] = [];
  const open = async (over: object = {}, more: object = {}): Promise<Provider> => {
    const opened = await openProvider({ ...optionsFor(sshd), ...over }, more);
    disposals.push(opened.dispose);
    return opened.provider;
  };
  beforeAll(async () => {
    sshd = await openSshd(["MaxSessions 1"]);
    provider = await open();
  }, 60_000);
  afterEach(async () => {
    for await (const ref of provider.list(op())) await provider.destroy(ref, op());
    const users = join(rootOf(sshd), "uids");
    expect(existsSync(users) ? readdirSync(users) : []).toEqual([]);
  });
  afterAll(async () => {
    for (const dispose of disposals) await dispose();
    await sshd[Symbol.asyncDispose]();
  }, 60_000);
  const sandbox = async (over: object = {}): Promise<Ref> => (await provider.create(specOf(over), op())).ref;
  const child = (id: string, what: string) =>
    spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD, JSON.stringify(optionsFor(sshd)), id, what], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, TMPDIR: sshd.directory },
    });
  const cut = () => {
    for (const pid of sshd.connections()) process.kill(pid, "SIGKILL");
  };
  const running = (words: string) =>
    execFileSync("ps", ["-e", "-o", "args="], { encoding: "utf8" }).split("\n").filter((line) => line === words).length; // prettier-ignore

  for (const at of CREATE_FAILPOINTS)
    test(`a control plane that is killed at ${at} leaves what the next create of the same id takes over`, async () => {
      const spec = specOf();
      expect((await once(child(spec.id, at), "exit"))[1]).toBe("SIGKILL");
      const { ref } = await provider.create(spec, op());
      expect((await say(provider, ref, "echo up")).stdout).toBe("up\n");
      expect(await listed(provider)).toEqual([spec.id]);
    });

  test("a control plane that is killed takes its commands' trees with it, and its sandboxes live on", async () => {
    const starter = child(newId("sandbox"), "exec");
    const [line] = (await once(createInterface(starter.stdout), "line")) as [string];
    const { ref, id } = JSON.parse(line) as { ref: Ref; id: string };
    expect(running("sleep 3333")).toBe(2);
    starter.kill("SIGKILL");
    await once(starter, "exit");
    await provider.abandonExec?.(ref, id, op());
    expect(running("sleep 3333")).toBe(0);
    expect((await say(provider, ref, "echo alive")).stdout).toBe("alive\n");
  });

  test("a connection that is cut in the middle of a command is an error, never a success; its tree ends; the next command goes through", async () => {
    const ref = await sandbox();
    const failed = expect(say(provider, ref, "sleep 3334 & sleep 3334")).rejects.toMatchObject({
      code: expect.stringMatching(/^backend_/),
    });
    await eventually(() => running("sleep 3334") === 2);
    cut();
    await failed;
    await eventually(() => running("sleep 3334") === 0);
    expect((await say(provider, ref, "echo back")).stdout).toBe("back\n");
  });

  test("background processes and their journals outlive the connection, and so does a sandbox the host's sshd", async () => {
    const ref = await sandbox();
    const id = newId("process");
    await provider.processes?.start(
      ref,
      { id, run: { shell: "echo begun; sleep 1; echo done" } },
      { stdin: "none", maxOutputBytes: 1e6 },
      op(),
    );
    await sshd.stop();
    await expect(provider.list(op())[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "backend_unavailable" });
    await expect(provider.create(specOf(), op())).rejects.toMatchObject({ code: "backend_unavailable" });
    await sshd.start();
    let output = "";
    for await (const chunk of provider.processes?.output(ref, id, { offset: 0, follow: true }, op()) ?? [])
      if (chunk.type === "stdout") output += Buffer.from(chunk.data).toString();
    expect(output).toBe("begun\ndone\n");
  });

  test("creates whose connection is cut are made once all the same, or told", async () => {
    const specs = Array.from({ length: 6 }, () => specOf());
    const made = Promise.allSettled(specs.map((spec) => provider.create(spec, op())));
    setTimeout(cut, 15);
    const ids = (await made).flatMap((one, index) => (one.status === "fulfilled" ? [specs[index]?.id ?? ""] : []));
    expect(await listed(provider)).toEqual(ids.sort());
  });

  test("a host key that is not the known one is refused, and so are a stranger, a login that is not root, and a host that is not there", async () => {
    await expect(open({ host_key: { form: "pinned", keys: [sshd.otherHostKey] } })).rejects.toMatchObject({ code: "backend_auth" });
    const known = join(sshd.directory, "empty_known_hosts");
    writeFileSync(known, "");
    await expect(open({ host_key: { form: "known-hosts", file: known } })).rejects.toMatchObject({ code: "backend_auth" });
    expect(readFileSync(known, "utf8")).toBe("");
    await expect(open({ identity: { form: "file", private_key: sshd.strangerKeyFile } })).rejects.toMatchObject({ code: "backend_auth" });
    await expect(open({ reach: { form: "direct", address: "127.0.0.1", port: 1 } })).rejects.toMatchObject({ code: "backend_unavailable" });
    const words = 'setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh -c "$SSH_ORIGINAL_COMMAND"';
    await using nobody = await openSshd([`ForceCommand ${words}`]);
    await expect(openProvider(optionsFor(nobody))).rejects.toMatchObject({ code: "isolation_unavailable", message: expect.stringContaining("not root, but user 65534") as string }); // prettier-ignore
    await using bare = await openSshd(["ForceCommand exec /no/such/perl"]);
    await expect(openProvider(optionsFor(bare))).rejects.toMatchObject({ code: "backend_rejected", hint: expect.stringContaining("/usr/bin/perl") as string }); // prettier-ignore
  });

  test("nothing gets in or out: no network, no capability, no root, nothing of the host but its programs, nothing of another sandbox", async () => {
    const [ref, other] = [await sandbox(), await sandbox()];
    await say(provider, other, "echo secret > ~/secret; chmod 777 ~ ~/secret");
    const script = `grep -c . /proc/net/route; grep -E '^(CapEff|CapPrm|CapBnd|CapInh|NoNewPrivs):' /proc/self/status | tr -s '\\t ' ' '
      id -u | grep -c '^1[0-9]*$'; ls /root /srv /etc/shadow /var/lib /run 2>/dev/null | grep -v ':$' | tr -d '\\n'; ls -d ${rootOf(sshd)} 2>/dev/null; cat ~/secret 2>/dev/null
      touch /usr/x /etc/x /x 2>/dev/null; kill -9 1 2>/dev/null && echo killed; ps -e | grep -c sshd; mount -t tmpfs x /mnt 2>/dev/null && echo mounted; ls /proc/1/root 2>/dev/null; true`;
    const { stdout } = await say(provider, ref, script);
    const none = "0000000000000000";
    expect(stdout.split("\n")).toEqual(["1", `CapInh: ${none}`, `CapPrm: ${none}`, `CapEff: ${none}`, `CapBnd: ${none}`, "NoNewPrivs: 1", "1", "0", ""]); // prettier-ignore
    for (const user of ["root", "0", "1000"])
      await expect(say(provider, ref, { run: { argv: ["id"] }, user })).rejects.toMatchObject({ code: "capability_unsupported" });
  });

  test("what is too large for its memory is killed and told as oom, and processes end at their limit", async () => {
    const ref = await sandbox();
    const { end } = await say(provider, ref, { run: { argv: ["perl", "-e", 'my $x = "x" x (400 << 20); print length $x'] } });
    expect(end).toMatchObject({ oomKilled: true });
    const forks = "for i in $(seq 200); do sleep 1 & done 2>&1 | grep -c -i 'resource temporarily unavailable'; wait";
    expect(Number((await say(provider, ref, forks)).stdout)).toBeGreaterThan(0);
    expect((await say(provider, ref, "echo alive")).stdout).toBe("alive\n");
  });

  test("max_life ends a sandbox and all its processes while no control plane and no sshd is there", async () => {
    const ref = await sandbox({ maxLifeAt: Date.now() + 2500 });
    await provider.processes?.start(
      ref,
      { id: newId("process"), run: { shell: "sleep 3335" } },
      { stdin: "none", maxOutputBytes: 1e6 },
      op(),
    );
    await sshd.stop();
    try {
      expect(running("sleep 3335")).toBe(1);
      await eventually(() => running("sleep 3335") === 0);
      expect(Date.now()).toBeGreaterThanOrEqual(ref.maxLifeAt - 500);
    } finally {
      await sshd.start();
    }
    expect(await provider.inspect(ref, op())).toMatchObject({ state: "stopped", stoppedBecause: "expired" });
    expect(await provider.destroy(ref, op())).toBe("destroyed");
  });

  test("destroy ends whatever would outlive it and leaves nothing on the host", async () => {
    const ref = await sandbox();
    await say(provider, ref, "setsid sleep 3336 >/dev/null 2>&1 & mkdir -p a/b; touch a/b/-rf 'a/\n'; chmod 0 a/b; ln -s /etc link");
    await provider.processes?.start(
      ref,
      { id: newId("process"), run: { shell: "trap '' TERM HUP; sleep 3336" } },
      { stdin: "none", maxOutputBytes: 1e6 },
      op(),
    );
    await provider.destroy(ref, op());
    expect(running("sleep 3336")).toBe(0);
    expect(existsSync(join(rootOf(sshd), "conformance.box", ref.id))).toBe(false);
    expect(existsSync("/etc/passwd")).toBe(true);
  });

  test("what is only half made or half gone is listed and can be destroyed, and a user whose sandbox was never made is let go of", async () => {
    const half = newId("sandbox");
    mkdirSync(join(rootOf(sshd), "conformance.box", half, "tree", "workspace"), { recursive: true });
    expect(await listed(provider)).toEqual([half]);
    const ref: Ref = { id: half, tenant: "", generation: 0, native: half, maxLifeAt: 0 };
    await expect(say(provider, ref, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect(await provider.destroy(ref, op())).toBe("destroyed");
    symlinkSync(`conformance.box/${newId("sandbox")}`, join(rootOf(sshd), "uids", "1999999999"));
    await provider.maintain?.(op());
    expect(readdirSync(join(rootOf(sshd), "uids"))).toEqual([]);
  });

  test("an old handle does not reach the sandbox of a newer generation, and users that are all taken are told", async () => {
    const small = await open({ uids: 1 }, { instance: "small" });
    const { ref } = await small.create(specOf({ generation: 2 }), op());
    const old = { ...ref, generation: 1 };
    await expect(say(small, old, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect([await small.inspect(old, op()), await small.destroy(old, op())]).toEqual(["absent", "absent"]);
    await expect(small.create(specOf({ id: ref.id, generation: 3 }), op())).rejects.toMatchObject({ code: "conflict" });
    await expect(small.create(specOf(), op())).rejects.toMatchObject({ code: "quota_exceeded" });
    expect((await say(small, ref, "echo alive")).stdout).toBe("alive\n");
    expect(await small.destroy(ref, op())).toBe("destroyed");
  });

  test("after a boot of the host its sandboxes are told as stopped, whoever has their processes' numbers now, and can be destroyed", async () => {
    const ref = await sandbox();
    const record = join(rootOf(sshd), "conformance.box", ref.id, "record");
    const text = readFileSync(record, "utf8");
    process.kill(Number(/^pid (\d+)$/m.exec(text)?.[1]), "SIGKILL");
    await eventually(async () => {
      const seen = await provider.inspect(ref, op());
      return seen !== "absent" && seen.state === "stopped" && seen.stoppedBecause === "unknown";
    });
    const [, ticks = ""] = /^\S+ \(.*\) (?:\S+ ){19}(\d+)/s.exec(readFileSync("/proc/self/stat", "utf8")) ?? [];
    writeFileSync(record, text.replace(/^pid .*$/m, `pid ${process.pid}`).replace(/^ticks .*$/m, `ticks ${ticks}`).replace(/^boot .*$/m, "boot another")); // prettier-ignore
    expect(await provider.inspect(ref, op())).toMatchObject({ state: "stopped" });
    await expect(say(provider, ref, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect(await provider.destroy(ref, op())).toBe("destroyed");
  });

  test("a full disk at the host refuses a create, which leaves nothing, and the next one works when there is room", async () => {
    const root = join(sshd.directory, "full");
    mkdirSync(root);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,nr_inodes=13", "sandboxer-test", root]);
    try {
      const full = await open({ root }, { instance: "full" });
      await expect(full.create(specOf(), op())).rejects.toMatchObject({ code: "backend_rejected", message: expect.stringContaining("No space left") as string }); // prettier-ignore
      expect([await listed(full), readdirSync(join(root, "full.box"))]).toEqual([[], []]);
      execFileSync("mount", ["-o", "remount,nr_inodes=100", root]);
      const { ref } = await full.create(specOf(), op());
      const { stderr } = await say(full, ref, "head -c 2000000 /dev/zero > big");
      expect(stderr).toContain("No space left");
      expect(await full.destroy(ref, op())).toBe("destroyed");
    } finally {
      execFileSync("umount", [root]);
    }
  });

  test("what it cannot do is refused by name before anything is made", async () => {
    for (const [over, code] of [
      [{ isolationMin: "container" }, "isolation_unavailable"],
      [{ image: "oci:debian:12" }, "capability_unsupported"],
      [{ services: { db: { image: "redis:7" } } }, "capability_unsupported"],
      [{ user: "root" }, "capability_unsupported"],
    ] as const)
      await expect(provider.create(specOf(over as never), op())).rejects.toMatchObject({ code });
    expect(await listed(provider)).toEqual([]);
  });

  test("many sandboxes and commands at once go over one session of one connection", async () => {
    cut();
    const refs = await Promise.all(Array.from({ length: 20 }, () => sandbox()));
    const said = await Promise.all(refs.flatMap((ref) => [0, 1].map((at) => say(provider, ref, `sleep 0.5; echo ${at}`))));
    expect(said.map(({ stdout }) => stdout)).toEqual(refs.flatMap(() => ["0\n", "1\n"]));
    expect(sshd.connections()).toHaveLength(1);
    await Promise.all(refs.map((ref) => provider.destroy(ref, op())));
  });
});
