import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Holdings, holdings, holdInside, holdOutside, treeOf } from "../support/held.ts";
import { read, sandboxProcesses } from "../support/host-objects.ts";
import { openLocal } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const ATTACK = readFileSync(new URL("attacks/kernel.py", import.meta.url), "utf8");

/** Kernel objects among a process's descriptors, by kind: its standard streams and its own pipe are none. */
function objects({ descriptors }: Holdings): string[] {
  const links = Object.entries(descriptors).filter(([number]) => Number(number) > 2).map(([, link]) => link.replace(/:\[\d+\]$/, "")); // prettier-ignore
  return links.filter((link) => link !== "pipe" && !link.startsWith("/proc/")).sort();
}

/** The names of what two processes do not share. */
function differing(one: Holdings, other: Holdings): string[] {
  return Object.keys(one.namespaces).filter((name) => one.namespaces[name] !== other.namespaces[name]);
}

/** Cases 2 to 6 and 9 in one program; on this host, as root, it shows what there is to get. */
async function control(): Promise<{ said: Record<string, string>; objects: string[]; namespaces: string[] }> {
  const target = mkdtempSync(join(tmpdir(), "sbx-mount-"));
  const held = await holdOutside(["unshare", "-m", "--propagation", "private", "/usr/bin/python3", "-c", ATTACK, target]);
  try {
    const tree = treeOf(held.pid).map(holdings);
    const own = holdings(process.pid);
    const namespaces = new Set(tree.flatMap((process) => differing(process, own)));
    return { said: JSON.parse(held.said) as Record<string, string>, objects: tree.flatMap(objects), namespaces: [...namespaces].sort() };
  } finally {
    await held.finish();
    rmSync(target, { recursive: true });
  }
}

describe.each(await workingRuntimes(...CONTAINER_RUNTIMES))("a command in a sandbox of $runtime", async ({ runtime }) => {
  const outside = await control();
  const there = Object.keys(outside.said).filter((name) => outside.said[name] === "ok");
  console.log(`this host's root can do, so it is tested: ${there.join(" ")}`);
  console.log(`this host cannot do, so there is nothing to refuse: ${Object.keys(outside.said).filter((name) => !there.includes(name)).join(" ")}`); // prettier-ignore

  it("cases 1 to 6 and 9: gets no kernel object, no mount and no namespace, has no capability, and new privileges are off", async () => {
    // The positive control: the same program as the host's root is seen to get them.
    for (const name of ["perf", "mount", "pivot_root", "mknod", "raw", "unshare_uts", "setns_self_uts", "clone"])
      expect(there).toContain(name);
    expect(outside.objects).toEqual(expect.arrayContaining(["socket"]));
    expect(outside.namespaces).toEqual(expect.arrayContaining(["ipc", "uts", "user"]));

    await using local = await openLocal("kernel", { runtime });
    const { id } = await local.create();
    const init = Math.min(...sandboxProcesses(local.dataDir, id));
    const held = await holdInside(local.engine, id, ["/usr/bin/python3", "-c", ATTACK, "/workspace"]);
    const pids = sandboxProcesses(local.dataDir, id).filter((pid) => read(`/proc/${pid}/cmdline`).includes("io_uring_setup"));
    const attackers = pids.filter((pid) => read(`/proc/${pid}/comm`).startsWith("python"));
    // The program, and its children for clone and pivot_root as far as it got them.
    expect(attackers.length).toBeGreaterThan(0);
    const first = holdings(init);
    expect(differing(first, holdings(process.pid))).toEqual(["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"]);
    for (const pid of [init, ...sandboxProcesses(local.dataDir, id)]) {
      const seen = holdings(pid);
      expect(objects(seen), `objects of ${pid}; it said ${held.said}`).toEqual([]);
      expect(differing(seen, first), `namespaces of ${pid}`).toEqual([]);
      expect(seen.mounts, `mounts of ${pid}`).toBe(first.mounts);
      for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(seen.status.get(name), name).toMatch(/^0+$/);
      expect([seen.status.get("NoNewPrivs"), seen.status.get("Seccomp")]).toEqual(["1", "2"]);
      for (const uid of (seen.status.get("Uid") ?? "0").split(/\s+/)) expect(Number(uid)).toBeGreaterThanOrEqual(2 ** 30);
    }
    const said = JSON.parse(held.said) as Record<string, string>;
    expect(Object.keys(said).filter((name) => said[name] === "ok")).toEqual([]);
    await held.finish();
    const disk = (
      await local.sh(id, "find / -xdev \\( -type b -o -type c \\) 2>/dev/null; find /workspace /home /tmp /var/tmp -type b -o -type c")
    ).stdout;
    expect(disk).toBe("");
  });

  it("case 5: is killed, or refused, when it calls the kernel as a 32-bit or an x32 program", async () => {
    if (process.arch !== "x64") return console.warn("not run: this machine's kernel has no 32-bit calls of x86");
    await using local = await openLocal("abi", { runtime });
    const { id } = await local.create();
    // x32 getpid, and int 0x80 with socketcall(2) from a page of our own code.
    const x32 = "import ctypes; print(ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 | 39)), flush=True)";
    const int80 = `import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("53b814000000cd805bc3"))
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))(), flush=True)`;
    for (const program of [x32, int80]) {
      const { stdout } = await local.exec(id, { argv: ["/usr/bin/python3", "-c", program] });
      // Not a process id: the call never reached the kernel's table.
      expect(Number(stdout.trim() === "" ? "-1" : stdout)).toBeLessThan(0);
    }
    // The positive control: the same page of code with a plain return works inside.
    const plain = int80.replace("53b814000000cd805bc3", "b82a000000c3");
    expect((await local.exec(id, { argv: ["/usr/bin/python3", "-c", plain] })).stdout).toBe("42\n");
  });

  it("case 9: has no device but the harmless ones", async () => {
    await using local = await openLocal("devices", { runtime });
    const { id } = await local.create();
    const { stdout } = await local.sh(
      id,
      "cd /dev && find . -type b -o -type c | sort | tr '\\n' ' '; ls /dev/kvm /dev/mem /dev/loop-control 2>/dev/null",
    );
    expect(
      stdout
        .trim()
        .split(" ")
        .filter((name) => !/^\.\/(full|null|ptmx|pts\/(ptmx|\d+)|random|tty|urandom|zero|console)$/.test(name)),
    ).toEqual([]);
  });
});
