import { spawn } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId, type Command, type OutputChunk, type Processes, type Provider, type Ref } from "../../../src/contract/index.ts";
import { eventually, sandbox, say, specOf } from "./inside.ts";
import { scratchDirectory } from "../../../src/providers/local/scratch.ts";
import { op, Scratch, unusable } from "./scratch.ts";

type Options = Parameters<Processes["start"]>[2];

for (const runtime of ["crun", "runc"] as const) {
  const reason = await unusable({ runtimes: [runtime] });
  describe.skipIf(reason !== undefined)(
    `a background process with ${runtime}${reason === undefined ? "" : ` (not on this host: ${reason})`}`,
    () => {
      const scratch = new Scratch();
      let provider: Provider;
      let ref: Ref;
      beforeAll(async () => {
        provider = await scratch.open({ runtimes: [runtime] });
        ref = await sandbox(provider);
      });
      afterAll(() => scratch.remove());

      const processes = (): Processes => {
        if (provider.processes === undefined) throw new Error("the local provider has processes");
        return provider.processes;
      };
      const start = async (shell: string, options: Partial<Options> = {}, more: Partial<Command> = {}) => {
        const id = newId("process");
        await processes().start(ref, { id, run: { shell }, ...more }, { stdin: "none", maxOutputBytes: 2 ** 20, ...options }, op());
        return id;
      };
      const read = async (id: string, offset = 0, follow = true) => {
        const chunks: OutputChunk[] = [];
        for await (const chunk of processes().output(ref, id, { offset, follow }, op())) chunks.push(chunk);
        const text = chunks.map((chunk) => (chunk.type === "ended" ? "" : Buffer.from(chunk.data).toString())).join("");
        return { chunks, text, end: chunks.at(-1)?.type === "ended" ? (chunks.at(-1) as OutputChunk & { type: "ended" }) : undefined };
      };
      const inMemory = (id: string): string =>
        join(scratchDirectory(scratch.directory, `${scratch.instance}.local`), ref.id, "processes", id);
      const onDisk = (id: string): string => scratch.path("sandboxes", ref.id, "processes", id);
      const shimOf = (id: string): number => Number(readFileSync(join(inMemory(id), "pid"), "utf8").split(" ")[0]);

      test("keeps the order of what it wrote to both streams, and counts in bytes of output", async () => {
        const id = await start("for i in 1 2 3; do echo out$i; sleep 0.1; echo err$i >&2; sleep 0.1; done");
        const { chunks, text } = await read(id);
        expect(chunks.map(({ type, offset }) => `${type}:${offset}`)).toEqual([
          "stdout:5",
          "stderr:10",
          "stdout:15",
          "stderr:20",
          "stdout:25",
          "stderr:30",
          "ended:30",
        ]);
        expect(text).toBe("out1\nerr1\nout2\nerr2\nout3\nerr3\n");
        for (const offset of [1, 5, 7, 29, 30]) expect((await read(id, offset)).text).toBe(text.slice(offset));
        await expect(read(id, 31)).rejects.toMatchObject({
          code: "invalid_request",
          details: { issues: [{ path: "offset", nearest: "30" }] },
        });
      });

      test("stops being written down at its cap, says so, and goes on", async () => {
        const id = await start("head -c 5000 /dev/zero | tr '\\0' a; echo more >&2; echo > /tmp/went-on; exit 4", { maxOutputBytes: 1000 });
        const { text, end } = await read(id);
        expect([text, end?.truncated, end?.exitCode, end?.offset]).toEqual(["a".repeat(1000), true, 4, 1000]);
        expect((await say(provider, ref, "test -e /tmp/went-on && echo yes")).stdout).toBe("yes\n");
      });

      test("goes on on the disk when it says much, for who reads already as for who comes later", async () => {
        const lines = Array.from({ length: 30_000 }, (_, i) => `${i + 1}\n`).join("");
        const id = await start("seq 1000; read x; seq 1001 29990; read x; seq 29991 30000", { stdin: "pipe" });
        await eventually(async () => (await read(id, 0, false)).text.endsWith("\n1000\n"));
        expect([lstatSync(join(inMemory(id), "index")).isFile(), existsSync(onDisk(id))]).toEqual([true, false]);
        const early = read(id);
        await processes().write(ref, id, Buffer.from("\n"), op());
        await eventually(async () => (await read(id, 0, false)).text.endsWith("\n29990\n"));
        expect(lstatSync(join(inMemory(id), "index")).isSymbolicLink()).toBe(true);
        expect(readdirSync(onDisk(id)).sort()).toEqual(["index", "journal"]);
        const late = read(id);
        await processes().write(ref, id, Buffer.from("\n"), op());
        for (const { text, end } of await Promise.all([early, late])) expect([text === lines, end?.exitCode]).toEqual([true, 0]);
        expect((await read(id, 100_000)).text).toBe(lines.slice(100_000));
      });

      test("goes on on the disk when it says little very often", async () => {
        const id = await start(`perl -e '$| = 1; for (1 .. 3000) { print STDOUT "a"; print STDERR "b" }'`);
        const { text, end } = await read(id);
        expect([text.replaceAll("b", "").length, text.replaceAll("a", "").length, end?.exitCode]).toEqual([3000, 3000, 0]);
      });

      test("long after its end is on the disk, where there are many, and reads as before", async () => {
        const ids: string[] = [];
        for (let i = 0; i < 34; i++) {
          ids.push(await start(`echo ${i}; exit ${i % 7}`));
          expect((await read(ids[i] ?? "")).end?.exitCode).toBe(i % 7);
        }
        const before = await processes().list(ref, op());
        const long = new Date(Date.now() - 60_000);
        ids.forEach((id, i) => utimesSync(join(inMemory(id), "exit"), long, new Date(long.getTime() + i)));
        await read(await start("true"));
        await eventually(async () => Promise.resolve(ids.filter((id) => existsSync(inMemory(id))).length < 34));
        await eventually(async () => Promise.resolve(!readdirSync(join(inMemory("."))).some((name) => name.includes("."))));
        const after = await processes().list(ref, op());
        expect(after.filter(({ id }) => before.some((one) => one.id === id))).toEqual(before);
        for (const [i, id] of ids.entries()) expect(await read(id)).toMatchObject({ text: `${i}\n`, end: { exitCode: i % 7 } });
        expect(await processes().status(ref, ids[0] ?? "", op())).toMatchObject({ running: false, end: { exitCode: 0 } });
        await expect(processes().signal(ref, ids[0] ?? "", "SIGKILL", op())).rejects.toMatchObject({ code: "wrong_state" });
      });

      test("with a terminal has the size that it was given right after its start, however early that came", async () => {
        for (let round = 0; round < 10; round++) {
          const id = await start("sleep 0.2; stty size", { stdin: "pipe", pty: { cols: 81, rows: 25 } });
          await processes().resize(ref, id, { cols: 102, rows: 31 }, op());
          expect((await read(id)).text).toBe("31 102\r\n");
        }
      });

      test("whose shim was killed has an unknown end, never exit 0", async () => {
        const id = await start("echo before; sleep 300");
        await eventually(async () => (await read(id, 0, false)).text === "before\n");
        process.kill(shimOf(id), "SIGKILL");
        const { text, end } = await read(id);
        expect([text, end?.outcome, end?.exitCode]).toEqual(["before\n", "unknown", null]);
        expect(await processes().status(ref, id, op())).toMatchObject({ running: false, end: { outcome: "unknown" } });
        await processes().signal(ref, id, "SIGKILL", op());
        await eventually(async () => (await say(provider, ref, "pgrep sleep -a | grep -c 300")).stdout === "0\n");
      });

      test("outlives the server that started it, and the next server finds all of it", async () => {
        const id = newId("process");
        const script = `
        const { default: local } = await import(${JSON.stringify(new URL("../../../src/providers/local/index.ts", import.meta.url).href)});
        const log = { debug() {}, info() {}, warn() {}, error() {} };
        const context = { backend: "local", directory: ${JSON.stringify(scratch.directory)}, instance: ${JSON.stringify(scratch.instance)}, log, failpoint() {} };
        const provider = await local.open({ pool: 0, runtimes: [${JSON.stringify(runtime)}] }, context);
        await provider.processes.start(${JSON.stringify(ref)}, { id: ${JSON.stringify(id)}, run: { shell: "echo first; read x; echo got $x; exit 6" } }, { stdin: "pipe", maxOutputBytes: 10000 }, { signal: new AbortController().signal, log });
        console.log("started");
        setInterval(() => {}, 1000);`;
        const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
        const killed = new Promise((resolve) => child.once("exit", resolve));
        for await (const chunk of child.stdout) if (String(chunk).includes("started")) break;
        child.kill("SIGKILL");
        await killed;
        const after = await scratch.open({ runtimes: [runtime] });
        expect((await after.processes?.list(ref, op()))?.find((one) => one.id === id)).toMatchObject({ running: true, end: null });
        await after.processes?.write(ref, id, Buffer.from("a line\n"), op());
        const { text, end } = await read(id);
        expect([text, end?.exitCode]).toEqual(["first\ngot a line\n", 6]);
      });

      test("reads its input to the end once that is closed, and takes no more", async () => {
        const id = await start("cat; echo end; sleep 300", { stdin: "pipe" });
        await processes().write(ref, id, Buffer.from("abc"), op());
        await processes().closeStdin(ref, id, op());
        await eventually(async () => (await read(id, 0, false)).text === "abcend\n");
        await expect(processes().write(ref, id, Buffer.from("d"), op())).rejects.toMatchObject({ code: "wrong_state" });
        await processes().signal(ref, id, "SIGKILL", op());
        expect((await read(id)).end).toMatchObject({ exitCode: 137 });
        await expect(processes().signal(ref, id, "SIGTERM", op())).rejects.toMatchObject({ code: "wrong_state" });
        await expect(processes().signal(ref, id, "SIGTER", op())).rejects.toMatchObject({
          code: "invalid_request",
          details: { issues: [{ nearest: "SIGTERM" }] },
        });
      });

      test("takes its daemons with it at its timeout", async () => {
        const id = await start("setsid sleep 311 & (sleep 312 &); echo up; sleep 313", {}, { timeoutMs: 500 });
        expect((await read(id)).end).toMatchObject({ outcome: "timed_out", exitCode: null });
        expect((await say(provider, ref, "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 31[1-3]'")).stdout).toBe("0\n");
      });

      test("has ended when it has, though a daemon holds its output or its terminal", async () => {
        const plain = await start("setsid sleep 320 & echo left; exit 2");
        expect(await read(plain)).toMatchObject({ text: "left\n", end: { outcome: "exited", exitCode: 2 } });
        const terminal = await start("setsid sleep 321 & sleep 0.2; exit 3", { pty: { cols: 80, rows: 24 } });
        expect((await read(terminal)).end).toMatchObject({ outcome: "exited", exitCode: 3 });
        await say(provider, ref, "pkill sleep");
      });

      test("can open its own standard streams again", async () => {
        const id = await start("echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin", { stdin: "pipe" });
        await processes().write(ref, id, Buffer.from("in\n"), op());
        await processes().closeStdin(ref, id, op());
        const { text } = await read(id);
        expect(text.split("\n").sort()).toEqual(["", "err", "in", "out"]);
      });

      test("with a terminal knows its size when that changes, and is interrupted by ^C", async () => {
        const id = await start("trap 'echo interrupted; exit 9' INT; stty size; while :; do sleep 0.05; done", {
          pty: { cols: 100, rows: 30 },
        });
        await eventually(async () => (await read(id, 0, false)).text.includes("30 100"));
        const shell = await start('echo ready; while read line; do eval "$line"; done', { pty: { cols: 80, rows: 24 } });
        await eventually(async () => (await read(shell, 0, false)).text.includes("ready"));
        await processes().resize(ref, shell, { cols: 132, rows: 50 }, op());
        await processes().write(ref, shell, Buffer.from("stty size; exit 5\n"), op());
        expect(await read(shell)).toMatchObject({ text: expect.stringContaining("50 132") as string, end: { exitCode: 5 } });
        await processes().write(ref, id, Buffer.from("\x03"), op());
        expect(await read(id)).toMatchObject({ text: expect.stringContaining("interrupted") as string, end: { exitCode: 9 } });
      });

      test("of another generation of the sandbox is not reached", async () => {
        const other = await sandbox(provider, { id: specOf().id, generation: 2 });
        const old = { ...other, generation: 1 };
        await expect(processes().list(old, op())).rejects.toMatchObject({ code: "sandbox_not_found" });
        await expect(say(provider, old, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
        await provider.destroy(other, op());
      });
    },
  );
}
