import { openSync, closeSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Provider, Ref } from "../../../src/contract/index.ts";
import type { RuntimeName } from "../../../src/providers/local/runtime.ts";
import { sandbox, say } from "./inside.ts";
import { Scratch, unusable } from "./scratch.ts";

process.env["HOST_SENTINEL"] = "of the host";

for (const runtime of ["crun", "runc"] as const satisfies RuntimeName[]) {
  const reason = process.getuid?.() === 0 ? await unusable({ runtimes: [runtime] }) : "not root";
  describe.skipIf(reason !== undefined)(
    `what ${runtime} gives, read from inside${reason === undefined ? "" : ` (not on this host: ${reason})`}`,
    () => {
      const scratch = new Scratch();
      let provider: Provider;
      let ref: Ref;
      const inside = async (shell: string) => (await say(provider, ref, shell)).stdout.trim();
      beforeAll(async () => {
        provider = await scratch.open({ runtimes: [runtime] });
        ref = await sandbox(provider);
      });
      afterAll(() => scratch.remove());

      test("no capability in any set, no new privileges, and a system call filter", async () => {
        const status = await inside("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
        for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(status).toMatch(new RegExp(`^${set}:\\s+0+$`, "m"));
        expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
        expect(status).toMatch(/^Seccomp:\s+2$/m);
      });

      test("its users are 65536 unprivileged ones of the host's", async () => {
        const [first, hostFirst, count] = (await inside("cat /proc/self/uid_map")).split(/\s+/).map(Number);
        expect([first, count]).toEqual([0, 65_536]);
        expect(hostFirst).toBeGreaterThanOrEqual(2 ** 30);
        expect(await inside("id -u; id -g; id -G")).toBe("1000\n1000\n1000");
      });

      test("devices are the harmless ones only", async () => {
        const names = (await inside("for f in /dev/* /dev/pts/*; do if [ -c $f ] || [ -b $f ]; then echo $f; fi; done")).split("\n");
        const harmless = [
          "/dev/console",
          "/dev/full",
          "/dev/null",
          "/dev/ptmx",
          "/dev/random",
          "/dev/tty",
          "/dev/urandom",
          "/dev/zero",
          "/dev/pts/ptmx",
          "/dev/stdin",
        ];
        expect(names.filter((name) => !harmless.includes(name))).toEqual([]);
        expect(names).toEqual(expect.arrayContaining(["/dev/null", "/dev/zero", "/dev/urandom"]));
        expect((await say(provider, ref, "mknod /tmp/null c 1 3")).end.exitCode).not.toBe(0);
      });

      test("what tells of the host is masked, and what would change it cannot be written", async () => {
        const masked =
          "for f in kcore keys timer_list sched_debug interrupts kallsyms kmsg sysrq-trigger; do [ -e /proc/$f ] && head -c 1 /proc/$f; done 2>/dev/null | wc -c";
        expect(await inside(masked)).toBe("0");
        expect(await inside("ls -A /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v : | tr -d '\\n'")).toBe("");
        for (const file of [
          "/proc/sys/kernel/core_pattern",
          "/proc/sys/vm/drop_caches",
          "/proc/sysrq-trigger",
          "/proc/irq/default_smp_affinity",
        ]) {
          expect((await say(provider, ref, `echo x > ${file}`)).end.exitCode, file).not.toBe(0);
        }
      });

      test("the root and the host's files cannot be written", async () => {
        for (const place of ["/", "/usr", "/etc", "/usr/bin", "/.sandboxer", "/sys/devices/system/cpu", "/home"]) {
          expect((await say(provider, ref, `touch ${place}/x`)).end.exitCode, place).not.toBe(0);
        }
        for (const place of ["/tmp", "/var/tmp", "/dev/shm", "/run", "/workspace", "/home/sandbox"]) {
          expect((await say(provider, ref, `touch ${place}/x`)).stderr, place).toBe("");
        }
      });

      test("what is mounted heeds neither set-user-ID nor devices", async () => {
        const options = new Map(
          (await inside("cut -d' ' -f5,6 /proc/self/mountinfo")).split("\n").map((line) => line.split(" ") as [string, string]),
        );
        for (const place of ["/tmp", "/dev/shm", "/run", "/proc", "/usr", "/.sandboxer"]) {
          expect(options.get(place)?.split(","), place).toEqual(expect.arrayContaining(["nosuid", "nodev"]));
        }
        // A bind within a user namespace shows its own options; the disk it comes from has nosuid and nodev itself.
        const disk = readFileSync("/proc/self/mountinfo", "utf8")
          .split("\n")
          .find((line) => line.includes(scratch.path("slots", "disks")));
        if (disk !== undefined) expect(disk.split(" ")[5]?.split(",")).toEqual(expect.arrayContaining(["nosuid", "nodev"]));
        await say(provider, ref, "cp /usr/bin/id /workspace/id; chmod 6755 /workspace/id");
        expect(await inside("/workspace/id -u")).toBe("1000");
      });

      test("neither the host's environment nor its processes are seen", async () => {
        expect(await inside("cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c SENTINEL; env | grep -c SENTINEL")).toBe("0\n0");
        expect(Number(await inside("ls -d /proc/[0-9]* | wc -l"))).toBeLessThan(10);
        expect(await inside("hostname; cat /etc/passwd | wc -l")).toBe("inside\n4");
      });

      test("a command has descriptors 0 to 2 and no other", async () => {
        const held = openSync("/etc/hostname", "r");
        try {
          const listed = await say(provider, ref, {
            run: { argv: ["readlink", ...Array.from({ length: 255 }, (_, n) => `/proc/self/fd/${n}`)] },
          });
          expect(listed.stdout.trim().split("\n")).toHaveLength(3);
          expect(await inside("for p in 1 2; do ls /proc/$p/fd 2>/dev/null | tr '\\n' ' '; done")).toMatch(/^(0 1 2 )*$/);
        } finally {
          closeSync(held);
        }
      });

      test("new namespaces, mounts, tracing and the kernel's odd corners are refused", async () => {
        for (const attempt of [
          "unshare -U true",
          "unshare -r true",
          "mount -t tmpfs x /tmp",
          "nsenter -t 1 -m true",
          "chroot / true",
          "dmesg",
        ]) {
          expect((await say(provider, ref, attempt)).end.exitCode, attempt).not.toBe(0);
        }
        const sockets =
          "import socket\nfor f, t in ((38, 5), (40, 1), (17, 3), (2, 3), (16, 3)):\n  try:\n    socket.socket(f, t); print('open', f)\n  except OSError as e: pass\nsocket.socket(2, 1); socket.socket(1, 1); print('usual')";
        const python = await say(provider, ref, { run: { argv: ["python3", "-c", sockets] } });
        if (python.end.exitCode !== 127) expect(python.stdout.replace("open 16\n", "")).toBe("usual\n");
      });

      test("there is no network but a loopback that leads nowhere", async () => {
        expect(await inside("cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '")).toBe("lo");
        expect((await say(provider, ref, "exec 3<>/dev/tcp/192.0.2.1/80")).end.exitCode).not.toBe(0);
      });

      test("its first process can be neither ended nor stopped from inside", async () => {
        await say(provider, ref, "kill -9 1; kill -STOP 1; kill -9 2");
        await say(provider, ref, "kill -9 -1");
        expect(await inside("cat /proc/1/stat | cut -d' ' -f3; echo up")).toBe("S\nup");
      });
    },
  );
}
