import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { holdings, holdingsOf, holdInside } from "../support/held.ts";
import { read, sandboxProcesses } from "../support/host-objects.ts";
import { openLocal, OWNER } from "../support/local-engine.ts";
import { oneOfEachLevel } from "../support/runtimes.ts";

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), "sbx-sentinel-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const SETTINGS = [
  "/proc/sys/kernel/core_pattern",
  "/proc/sysrq-trigger",
  "/sys/kernel/uevent_helper",
  "/proc/sys/vm/drop_caches",
  "/proc/sys/kernel/modprobe",
];

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Looks for a word in all that /proc says of processes. */
const SCAN = (word: string) =>
  `for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\\0' '\\n' <$f 2>/dev/null; done | grep -c "${word}[x]"; exit 0`;

describe.each(await oneOfEachLevel())("a command in a sandbox of $runtime", ({ runtime, level }) => {
  const open = async (name: string) => {
    const local = await openLocal(name, { runtime });
    return { local, sandbox: await local.create({ isolation_level: { min: level } }) };
  };

  it("case 7: changes no setting of the kernel, and finds no release_agent", async () => {
    const there = SETTINGS.filter(writable);
    expect(there, "the positive control: the host's root may write to some of them").toContain("/proc/sys/kernel/core_pattern");
    const before = SETTINGS.map((path) => (path.includes("trigger") || path.includes("drop") ? "" : read(path)));
    const { local, sandbox } = await open("settings");
    await using _ = local;
    // sysrq "h" and drop_caches "0" are harmless should they get through.
    const words = ["|/bin/false pwned", "h", "/bin/false", "0", "/bin/false"];
    const tries = SETTINGS.map((path, i) => `printf %s '${words[i]}' >${path} && echo wrote ${path}`).join("\n");
    const { stdout } = await local.sh(
      sandbox.id,
      `${tries}\n${level === "container" ? "find / -name release_agent 2>/dev/null" : ":"}\nmkdir -p /tmp/cg && mount -t cgroup none /tmp/cg && echo mounted\nexit 0`,
    );
    expect(stdout).toBe("");
    expect(SETTINGS.map((path) => (path.includes("trigger") || path.includes("drop") ? "" : read(path)))).toEqual(before);
  });

  it("case 8: reads nothing of the kernel's memory, keys or messages", async () => {
    const { local, sandbox } = await open("kernel-memory");
    await using _ = local;
    const dmesg = `/usr/bin/python3 -c 'import ctypes; b = ctypes.create_string_buffer(4096); print(ctypes.CDLL(None).klogctl(3, b, 4096))'`;
    expect(Number(execFileSync("sh", ["-c", dmesg], { encoding: "utf8" })), "the positive control").toBeGreaterThan(0);
    const files = ["/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list", "/proc/sched_debug", "/dev/kmsg", "/dev/mem"];
    expect(files.filter((path) => existsSync(path)).length, "the positive control: they are there on the host").toBeGreaterThan(1);
    const { stdout } = await local.sh(
      sandbox.id,
      `${files.map((path) => `timeout 2 head -c 512 ${path} 2>/dev/null | tr -d '\\0'`).join("\n")}\nexit 0`,
    );
    expect(stdout).toBe("");
    // gVisor makes its messages up.
    if (level === "container") expect(Number((await local.sh(sandbox.id, dmesg)).stdout)).toBe(-1);
    else
      expect((await local.sh(sandbox.id, "dmesg 2>/dev/null; exit 0")).stdout).not.toContain(
        execFileSync("uname", ["-r"], { encoding: "utf8" }).trim(),
      );
  });

  it("case 10: inherits no descriptor of the control plane", async () => {
    const sentinel = join(scratch(), "sentinel");
    writeFileSync(sentinel, "secret");
    const descriptor = openSync(sentinel, "r");
    expect(Object.values(holdings(process.pid).descriptors), "the positive control: this process has it").toContain(sentinel);
    const { local, sandbox } = await open("descriptors");
    await using _ = local;
    const held = await holdInside(local.engine, sandbox.id, ["/bin/sh", "-c", "ls -l /proc/self/fd | wc -l; cat"]);
    const processes = holdingsOf(sandboxProcesses(local.dataDir, sandbox.id));
    expect(processes.length).toBeGreaterThan(1);
    for (const { descriptors } of processes) {
      expect(Object.values(descriptors)).not.toContain(sentinel);
      if (level === "container")
        expect(
          Object.keys(descriptors).filter((number) => Number(number) > 2 && descriptors[Number(number)] !== "anon_inode:[signalfd]"),
        ).toEqual([]);
    }
    await held.finish();
    expect(descriptor).toBeGreaterThan(2);
  });

  it("case 11: sees no process and no environment of the host, nor its name, its home directories or its keys", async () => {
    const word = `sbxword${Math.random().toString(36).slice(2)}`;
    const child = spawn("sleep", ["299"], { env: { SENTINEL: `${word}x`, PATH: "/usr/bin:/bin" }, argv0: `${word}x` });
    onTestFinished(() => void child.kill("SIGKILL"));
    process.env["SBX_SENTINEL"] = `${word}x`;
    onTestFinished(() => void delete process.env["SBX_SENTINEL"]);
    expect(
      Number(spawnSync("sh", ["-c", SCAN(word)], { encoding: "utf8" }).stdout),
      "the positive control: the host sees it",
    ).toBeGreaterThan(0);
    const { local, sandbox } = await open("environment");
    await using _ = local;
    expect((await local.sh(sandbox.id, SCAN(word))).stdout).toBe("0\n");
    expect((await local.sh(sandbox.id, "env; hostname; cat /etc/hostname /etc/hosts 2>/dev/null; exit 0")).stdout).not.toMatch(
      new RegExp(`${word}|\\b${hostname()}\\b`),
    );
    expect(
      (
        await local.sh(
          sandbox.id,
          "ls -A /root /mnt /srv /opt /media 2>/dev/null; ls /etc/shadow /etc/ssh /var/run/docker.sock /run/dbus 2>/dev/null; exit 0",
        )
      ).stdout
        .replace(/^\/\w+:$/gm, "")
        .trim(),
    ).toBe("");
    // As many as a sandbox has, whatever runs on the host.
    const seen = Number((await local.sh(sandbox.id, "ls -d /proc/[0-9]* | wc -l")).stdout);
    expect(seen).toBeLessThan(10);
    expect(readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length).toBeGreaterThan(seen);
  });

  it("case 14: gains no identity from a set-user-ID program, in any place it can write to", async () => {
    const outside = join(scratch(), "sleeper");
    copyFileSync("/usr/bin/sleep", outside);
    chownSync(outside, 1234, 1234);
    chmodSync(outside, 0o6755);
    chmodSync(join(outside, ".."), 0o755);
    const child = spawn(outside, ["60"], { uid: 4321, gid: 4321 });
    onTestFinished(() => void child.kill("SIGKILL"));
    const effective = (pid: number) => (holdings(pid).status.get("Uid") ?? "").split(/\s+/)[1];
    await new Promise((resolve) => child.once("spawn", resolve));
    expect(effective(child.pid ?? 0), "the positive control: on the host it becomes its owner").toBe("1234");

    const { local, sandbox } = await open("setuid");
    await using _ = local;
    const id = sandbox.id;
    for (const place of ["/workspace", "/home/sandbox", "/tmp", "/var/tmp", "/dev/shm"]) {
      // Its owner is uid 1000; uid 4321 runs it.
      expect((await local.sh(id, `cp /usr/bin/python3 ${place}/py && chmod 6755 ${place}/py`)).exitCode, place).toBe(0);
      const program = "import os, sys; print(os.geteuid(), os.getegid(), flush=True); sys.stdin.read()";
      const attempt = holdInside(local.engine, id, ["/bin/sh", "-c", `${place}/py -c '${program}' 2>/dev/null || echo refused`], "4321");
      const held = await attempt;
      expect(held.said, place).toMatch(/^(4321 4321|refused)$/);
      if (level === "container") {
        const uids = holdingsOf(sandboxProcesses(local.dataDir, id)).map(({ status }) => (status.get("Uid") ?? "").split(/\s+/).map((uid) => Number(uid) % 65_536)); // prettier-ignore
        expect(uids.length).toBeGreaterThan(1);
        for (const [real, ...others] of uids) expect(new Set(others)).toEqual(new Set([real]));
      }
      await held.finish();
    }
  });

  it("case 16: bait that tools of the host might run is never run outside", async () => {
    const sentinel = join(scratch(), "pwned");
    const bait = `#!/bin/sh\nmkdir -p ${join(sentinel, "..")} 2>/dev/null; echo pwned >${sentinel}\n`;
    const { local, sandbox } = await open("bait");
    await using _ = local;
    const { engine } = local;
    const id = sandbox.id;
    const places = [
      ".git/hooks/post-checkout",
      ".git/hooks/pre-commit",
      ".bashrc",
      ".profile",
      ".envrc",
      ".claude/settings.sh",
      "node_modules/.bin/tar",
      "conftest.py",
      "Makefile",
      "package.json",
    ];
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(bait);
    }
    for (const root of ["/workspace", "/home/sandbox"])
      for (const name of places) await engine.files.write(OWNER, id, `${root}/${name}`, bytes(), { mode: 0o755 });
    await local.sh(
      id,
      `cd /workspace && git init -q . 2>/dev/null; printf '[core]\\n\\tfsmonitor = "sh -c \\"echo pwned >${sentinel}\\""\\n' >>.git/config; exit 0`,
    );
    for (const root of ["/workspace", "/home/sandbox"]) {
      await engine.files.list(OWNER, id, root, { depth: 5 });
      const tree: Uint8Array[] = [];
      for await (const chunk of await engine.files.exportTree(OWNER, id, root)) tree.push(chunk);
      async function* again(): AsyncGenerator<Uint8Array> {
        yield* tree;
      }
      await engine.files.importTree(OWNER, id, `${root}/copy`, again());
    }
    const environment = {
      PERL5OPT: "-MNo::Such",
      NODE_OPTIONS: "--require /workspace/conftest.py",
      LD_PRELOAD: "/workspace/evil.so",
      BASH_ENV: "/workspace/.bashrc",
      ENV: "/workspace/.bashrc",
    };
    const { id: processId } = await engine.processes.start(OWNER, id, { argv: ["/bin/true"], env: environment });
    expect((await engine.processes.wait(OWNER, id, processId, 60)).end).toMatchObject({ outcome: "exited" });
    await engine.usage(OWNER, id);
    await engine.destroy(OWNER, id);
    await engine.sweep();
    expect(existsSync(sentinel)).toBe(false);
    // The positive control: run on the host, the bait does what it says.
    expect(spawnSync("sh", ["-c", bait]).status).toBe(0);
    expect(readFileSync(sentinel, "utf8")).toBe("pwned\n");
  });
});
