import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Provider, Ref } from "../../../src/contract/index.ts";
import { Cgroup, findCgroups } from "../../../src/providers/local/cgroup.ts";
import { cgroupParent } from "../../../src/providers/local/host.ts";
import { RESOURCES, sandbox, say, specOf } from "./inside.ts";
import { op, Scratch, unusable } from "./scratch.ts";

const reason = process.getuid?.() === 0 ? await unusable({}) : "not root";

describe.skipIf(reason !== undefined)(`limits${reason === undefined ? "" : ` (not on this host: ${reason})`}`, () => {
  const scratch = new Scratch();
  let provider: Provider;
  let ref: Ref;
  const inside = async (shell: string) => (await say(provider, ref, shell)).stdout.trim();
  const file = (...names: string[]) => {
    const paths = new Cgroup(findCgroups(), `${cgroupParent(scratch.instance)}/${ref.id}`)
      .directories()
      .flatMap((directory) => names.map((name) => `${directory}/${name}`));
    return readFileSync(paths.find((path) => existsSync(path)) ?? "none of them", "utf8").trim();
  };
  beforeAll(async () => {
    provider = await scratch.open();
    ref = await sandbox(provider);
  });
  afterAll(() => scratch.remove());

  test("stand in the host's control groups as asked", () => {
    expect(file("memory.limit_in_bytes", "memory.max")).toBe(String(RESOURCES.memoryBytes));
    expect(file("pids.max")).toBe(String(RESOURCES.pids));
    expect(file("cpu.cfs_quota_us", "cpu.max")).toMatch(/^100000( 100000)?$/);
    expect(file("cpuset.cpus")).toMatch(/^\d+$/);
  });

  test("of one CPU are what programs count", async () => {
    expect(await inside("nproc; getconf _NPROCESSORS_ONLN; getconf _NPROCESSORS_CONF; echo $OMP_NUM_THREADS $GOMAXPROCS")).toBe(
      "1\n1\n1\n1 1",
    );
    for (const [program, count] of [
      ["python3", ["-c", "import os; print(os.cpu_count(), len(os.sched_getaffinity(0)))"]],
      ["perl", ["-e", "print qx(nproc)"]],
    ] as const) {
      const { stdout, end } = await say(provider, ref, { run: { argv: [program, ...count] } });
      if (end.exitCode !== 127) expect(stdout.trim(), program).toMatch(/^1( 1)?$/);
    }
    const node = await say(provider, ref, "command -v node >/dev/null && node -p 'os.availableParallelism()'");
    if (node.end.exitCode === 0) expect(node.stdout.trim()).toBe("1");
  });

  test("of memory end the command that passes them, and it is told", async () => {
    const { end } = await say(provider, ref, "head -c 400M /dev/zero | tail");
    expect([end.oomKilled, end.exitCode === 0]).toEqual([true, false]);
    expect(await inside("echo up")).toBe("up");
    const observed = await provider.inspect(ref, op());
    expect(observed === "absent" ? 0 : observed.usage.oom_kills).toBeGreaterThan(0);
  });

  test("of processes hold", async () => {
    const fork =
      "my $n = 0; for (1 .. 200) { my $pid = fork; last unless defined $pid; exec 'sleep', '30' unless $pid; $n++ } print $n; kill 9, -getpgrp";
    const { stdout } = await say(provider, ref, { run: { argv: ["perl", "-e", `$| = 1; setpgrp; ${fork}`] } });
    expect(Number(stdout)).toBeGreaterThan(10);
    expect(Number(stdout)).toBeLessThan(RESOURCES.pids);
    expect(await inside("echo up")).toBe("up");
  });

  test("of the disk hold in bytes, in files and in the size of one", async () => {
    const fill = await say(provider, ref, "head -c 200M /dev/zero > ~/big; code=$?; rm -f ~/big; exit $code");
    expect(fill.end.exitCode).not.toBe(0);
    const files = await say(provider, ref, "mkdir m; cd m; for i in $(seq 3000); do : > $i || break; done; ls -U | wc -l; cd ..; rm -r m");
    // ext4 makes inodes by whole blocks of its table.
    expect(Number(files.stdout.trim())).toBeLessThanOrEqual(RESOURCES.inodes + 16);
    expect((await say(provider, ref, "truncate -s 1T t")).end.exitCode).not.toBe(0);
  });

  test("of tmpfs, of open files and of core dumps hold", async () => {
    expect(await inside("ulimit -n; ulimit -c; ulimit -l")).toBe("4096\n0\n64");
    expect(await inside("df --output=size -B1M /dev/shm /tmp /run | tail -n +2 | tr -d ' '")).toBe("64\n256\n16");
  });

  test("that are fractions of a CPU still count as one", async () => {
    const half = await sandbox(provider, { resources: { ...RESOURCES, cpu: 0.5 } });
    expect((await say(provider, half, "nproc")).stdout).toBe("1\n");
    await provider.destroy(half, op());
  });

  test("are checked by what the kernel has: memory below a page's multiple is given, not refused", async () => {
    const odd = await provider.create(specOf({ resources: { ...RESOURCES, memoryBytes: RESOURCES.memoryBytes + 123 } }), op());
    expect(await provider.destroy(odd.ref, op())).toBe("destroyed");
  });
});
