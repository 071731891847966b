import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, type Provider, type Ref } from "../../../src/contract/index.ts";
import { scratchDirectory } from "../../../src/providers/local/scratch.ts";
import { eventually, sandbox, say } from "./inside.ts";
import { op, Scratch, unusable } from "./scratch.ts";

async function* streamOf(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

for (const runtime of ["crun", "runc"] as const) {
  const reason = await unusable({ runtimes: [runtime] });
  describe.skipIf(reason !== undefined)(`a command with ${runtime}${reason === undefined ? "" : ` (not on this host: ${reason})`}`, () => {
    const scratch = new Scratch();
    let provider: Provider;
    let ref: Ref;
    beforeAll(async () => {
      provider = await scratch.open({ runtimes: [runtime] });
      ref = await sandbox(provider, { env: { FROM_SPEC: "yes" } });
    });
    afterAll(() => scratch.remove());

    test("can open its own standard streams again, whatever its input is", async () => {
      const again = "echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin";
      expect(await say(provider, ref, again)).toMatchObject({ stdout: "out\n", stderr: "err\n" });
      expect(await say(provider, ref, again, { stdin: { kind: "bytes", bytes: Buffer.from("in\n") } })).toMatchObject({
        stdout: "out\nin\n",
        stderr: "err\n",
      });
      expect(await say(provider, ref, again, { stdin: { kind: "pipe", stream: streamOf("i", "n\n") } })).toMatchObject({
        stdout: "out\nin\n",
        stderr: "err\n",
      });
    });

    test("has ended when it has, though a daemon it left holds its output", async () => {
      const { stdout, end } = await say(provider, ref, "sleep 300 & setsid sleep 300 & echo done");
      expect([stdout, end.exitCode]).toEqual(["done\n", 0]);
      await say(provider, ref, "pkill sleep");
    });

    test("takes its daemons with it when its time is over", async () => {
      const { end } = await say(provider, ref, {
        run: { shell: "setsid sleep 301 & (sleep 302 &); nohup sleep 303 & sleep 304" },
        timeoutMs: 700,
      });
      expect(end.outcome).toBe("timed_out");
      expect((await say(provider, ref, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 30[1-4]'")).stdout.trim()).toBe("0");
    });

    test("starts though others' trees are ended beside it all the time, by this process and by shims", async () => {
      const kills = async (): Promise<void> => {
        for (let round = 0; round < 12; round++) {
          const { end } = await say(provider, ref, { run: { shell: "sleep 60 & sleep 60" }, timeoutMs: 5 });
          expect(end.outcome).toBe("timed_out");
        }
      };
      const shims = async (): Promise<void> => {
        const ids = Array.from({ length: 12 }, () => newId("process"));
        for (const id of ids) {
          const command = { id, run: { shell: "sleep 60 & sleep 60" }, timeoutMs: 400 };
          await provider.processes?.start(ref, command, { stdin: "none", maxOutputBytes: 1024 }, op());
        }
        for (const id of ids) {
          await eventually(async () => {
            const status = await provider.processes?.status(ref, id, op());
            return status !== "absent" && status?.end?.outcome === "timed_out";
          });
        }
      };
      const starts = async (): Promise<void> => {
        for (let round = 0; round < 25; round++) {
          const stdin = { kind: "pipe" as const, stream: streamOf("a", "ll\n") };
          const { stdout, end } = await say(provider, ref, { run: { shell: "cat" } }, { stdin });
          expect([stdout, end.outcome, end.exitCode]).toEqual(["all\n", "exited", 0]);
        }
      };
      await Promise.all([kills(), kills(), shims(), starts(), starts()]);
    });

    test("that is not there answers 127, one that may not run 126", async () => {
      expect((await say(provider, ref, { run: { argv: ["no-such-program"] } })).end).toMatchObject({ outcome: "exited", exitCode: 127 });
      expect((await say(provider, ref, { run: { argv: ["/etc/passwd"] } })).end).toMatchObject({ outcome: "exited", exitCode: 126 });
    });

    test("in a directory that is not there is refused by the name of cwd", async () => {
      for (const cwd of ["/no/such", "nor/this", "/etc/passwd"]) {
        await expect(say(provider, ref, { run: { shell: "true" }, cwd })).rejects.toMatchObject({
          code: "invalid_request",
          details: { issues: [{ path: "cwd" }] },
        });
        await expect(
          provider.processes?.start(
            ref,
            { id: newId("process"), run: { shell: "true" }, cwd },
            { stdin: "none", maxOutputBytes: 100 },
            op(),
          ),
        ).rejects.toMatchObject({ code: "invalid_request", details: { issues: [{ path: "cwd" }] } });
      }
    });

    test("gets its environment byte for byte", async () => {
      const env = {
        EMPTY: "",
        SPACES: "  a b  ",
        LINES: "1\n2\n",
        QUOTES: `'"$HOME\`id\`\\`,
        EQUALS: "a=b=c",
        UTF8: "häß→🦀",
        FROM_SPEC: "overridden",
      };
      const names = Object.keys(env);
      const { stdout } = await say(provider, ref, {
        run: { argv: ["bash", "-c", 'for n in "$@"; do printf "%s\\0" "${!n}"; done', "bash", ...names] },
        env,
      });
      expect(stdout.split("\0").slice(0, -1)).toEqual(Object.values(env));
      expect((await say(provider, ref, "echo $FROM_SPEC $HOME $USER $PWD")).stdout).toBe("yes /home/sandbox sandbox /workspace\n");
    });

    test("runs as the user it names, and never as root or beyond the sandbox's ids", async () => {
      if (process.getuid?.() === 0) {
        expect(
          (await say(provider, ref, { run: { shell: "id -u; id -g; grep CapEff /proc/self/status" }, user: "1234:2345" })).stdout,
        ).toMatch(/^1234\n2345\nCapEff:\s+0+\n$/);
      }
      for (const user of ["0", "root", "1000:0", "65534", "4294967296", "-1", "1000:1000:1", "nobody/../root"]) {
        await expect(say(provider, ref, { run: { shell: "id" }, user }), user).rejects.toMatchObject({
          code: "invalid_request",
          details: { issues: [{ path: "user" }] },
        });
      }
    });

    test("with more arguments than the kernel takes is refused or fails, and the sandbox goes on", async () => {
      const argv = ["echo", "x".repeat(200_000)];
      const outcome = await say(provider, ref, { run: { argv } }).then(
        ({ end }) => end.exitCode !== 0,
        () => true,
      );
      expect(outcome).toBe(true);
      expect((await say(provider, ref, "echo up")).stdout).toBe("up\n");
    });

    test("leaves no file and no descriptor behind, a thousand times", async () => {
      const count = runtime === "crun" ? 1000 : 200;
      const open = () => readdirSync("/proc/self/fd").length;
      for (let i = 0; i < 20; i++) await say(provider, ref, { run: { argv: ["true"] } });
      const left = `${scratchDirectory(scratch.directory, `${scratch.instance}.local`)}/${ref.id}`;
      // The sandbox's own bundle stands there too.
      const kept = readdirSync(left).filter((name) => !name.startsWith("ex"));
      const before = open();
      for (let i = 0; i < count / 20; i++) {
        await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            say(provider, ref, { run: { argv: ["true"] } }, n % 2 ? { stdin: { kind: "bytes", bytes: Buffer.from("x") } } : {}),
          ),
        );
      }
      await eventually(() => readdirSync(left).join() === kept.join());
      await eventually(() => open() - before < 5);
      // The last ones may not have been waited for yet.
      await eventually(async () => /^[1-8]$/.test((await say(provider, ref, "ls -d /proc/[0-9]* | wc -l")).stdout.trim()));
    });
  });
}
