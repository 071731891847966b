import assert from "node:assert/strict";
import { newId } from "../contract/index.ts";
import type { Command, End, OutputChunk, Ref } from "../contract/index.ts";
import { assertDied } from "./cases-kill.ts";
import { refuses } from "./stage.ts";
import type { Stage } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

interface StartOptions {
  stdin?: "none" | "pipe";
  maxOutputBytes?: number;
  timeoutMs?: number;
}

async function start(
  stage: Stage,
  ref: Ref,
  shell: string,
  { stdin = "none", maxOutputBytes = 2 ** 26, timeoutMs }: StartOptions = {},
): Promise<string> {
  const command: Command = { id: newId("process"), run: { shell }, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  await stage.processes.start(ref, command, { stdin, maxOutputBytes }, stage.op());
  return command.id;
}

/** Everything of the journal from an offset on; with `follow` up to the end. */
export async function journal(
  stage: Stage,
  ref: Ref,
  id: string,
  offset = 0,
  follow = true,
): Promise<{ stdout: string; stderr: string; last: number; end: End | undefined }> {
  const read = { stdout: "", stderr: "", last: offset, end: undefined as End | undefined };
  for await (const chunk of stage.processes.output(ref, id, { offset, follow }, stage.op())) {
    if (chunk.type === "ended") read.end = chunk;
    else read[chunk.type] += Buffer.from(chunk.data).toString("latin1");
    read.last = chunk.offset;
  }
  return read;
}

/** Background processes: journal, offsets, input, signals. */
export const PROCESS_CASES: readonly CaseDefinition[] = [
  {
    name: "a background process has a journal, an end and a place in the list",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "echo out; echo err >&2; exit 3");
      const { stdout, stderr, last, end } = await journal(stage, ref, id);
      assert.deepEqual([stdout, stderr, last, end?.outcome, end?.exitCode, end?.truncated], ["out\n", "err\n", 8, "exited", 3, false]);
      const status = await stage.processes.status(ref, id, stage.op());
      assert.ok(status !== "absent" && !status.running && status.endedAt !== null && status.endedAt >= status.startedAt);
      assert.deepEqual([status.end?.exitCode, status.outputBytes], [3, 8]);
      assert.deepEqual(
        (await stage.processes.list(ref, stage.op())).map((entry) => entry.id),
        [id],
      );
    },
  },
  {
    name: "output can be read again from any offset",
    capability: "exec.reattach",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "printf 0123456789; printf abcdef");
      for (const offset of [0, 1, 4, 9, 10, 11, 15, 16]) {
        const { stdout, last, end } = await journal(stage, ref, id, offset);
        assert.deepEqual([stdout, last, end?.exitCode], ["0123456789abcdef".slice(offset), 16, 0]);
      }
    },
  },
  {
    name: "the offset of each chunk leads to exactly the rest",
    capability: "exec.reattach",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "echo a; echo bb >&2; echo ccc; seq 1 2000");
      const chunks: OutputChunk[] = [];
      for await (const chunk of stage.processes.output(ref, id, { offset: 0, follow: true }, stage.op())) chunks.push({ ...chunk });
      const whole = await journal(stage, ref, id);
      let seen = { stdout: "", stderr: "" };
      for (const chunk of chunks.slice(0, 20)) {
        if (chunk.type !== "ended") seen = { ...seen, [chunk.type]: seen[chunk.type] + Buffer.from(chunk.data).toString() };
        const rest = await journal(stage, ref, id, chunk.offset);
        assert.deepEqual([seen.stdout + rest.stdout, seen.stderr + rest.stderr], [whole.stdout, whole.stderr]);
      }
    },
  },
  {
    name: "reading without following gives what is there and does not wait",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "echo here; sleep 60");
      await stage.eventually("the first output", async () => (await journal(stage, ref, id, 0, false)).stdout === "here\n");
      const status = await stage.processes.status(ref, id, stage.op());
      assert.ok(status !== "absent" && status.running && status.end === null);
    },
  },
  {
    name: "a reader that leaves does not disturb the process or other readers",
    capability: "exec.reattach",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, `echo one; sleep ${stage.seconds(0.5)}; echo two`);
      for await (const chunk of stage.processes.output(ref, id, { offset: 0, follow: true }, stage.op()))
        if (chunk.type === "stdout") break;
      const [a, b] = await Promise.all([journal(stage, ref, id), journal(stage, ref, id)]);
      assert.deepEqual([a.stdout, b.stdout, a.end?.exitCode], ["one\ntwo\n", "one\ntwo\n", 0]);
    },
  },
  {
    name: "starting the same id again runs nothing twice",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const command: Command = { id: newId("process"), run: { shell: "echo ran >> /tmp/count" } };
      await Promise.all(
        Array.from({ length: 5 }, () => stage.processes.start(ref, command, { stdin: "none", maxOutputBytes: 1024 }, stage.op())),
      );
      await journal(stage, ref, command.id);
      assert.equal(await stage.sh(ref, "cat /tmp/count"), "ran\n");
    },
  },
  {
    name: "a piped process is written to, and ends when its input is closed",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "cat; echo closed", { stdin: "pipe" });
      for (const text of ["ping\n", "pong\n"]) await stage.processes.write(ref, id, Buffer.from(text), stage.op());
      await stage.eventually("the echo", async () => (await journal(stage, ref, id, 0, false)).stdout === "ping\npong\n");
      await stage.processes.closeStdin(ref, id, stage.op());
      const { stdout, end } = await journal(stage, ref, id);
      assert.deepEqual([stdout, end?.exitCode], ["ping\npong\nclosed\n", 0]);
      await refuses(["wrong_state"], "writing after the end", () => stage.processes.write(ref, id, Uint8Array.of(1), stage.op()));
    },
  },
  {
    name: "a process without input reads the end, and cannot be written to",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "cat; echo end; sleep 60");
      await stage.eventually("the end of input", async () => (await journal(stage, ref, id, 0, false)).stdout === "end\n");
      await refuses(["wrong_state"], "writing to a process without stdin", () =>
        stage.processes.write(ref, id, Uint8Array.of(1), stage.op()),
      );
    },
  },
  {
    name: "a signal reaches the process's whole tree",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, `( sleep ${stage.seconds(2)}; echo leaked > /tmp/leaked ) & echo up; sleep 60`);
      await stage.eventually("its start", async () => (await journal(stage, ref, id, 0, false)).stdout === "up\n");
      await stage.processes.signal(ref, id, "SIGTERM", stage.op());
      const { end } = await journal(stage, ref, id);
      assert.ok(end);
      assertDied(end, "SIGTERM", 143);
      await stage.wait(3);
      assert.equal(await stage.sh(ref, "test -e /tmp/leaked && echo leaked; true"), "");
    },
  },
  {
    name: "a background process has its exec_timeout too",
    capability: "exec.timeout",
    async run(stage) {
      if (stage.provider.processes === undefined) return;
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "echo up; sleep 60", { timeoutMs: Math.round(1000 * Number(stage.seconds(0.5))) });
      const { stdout, end } = await journal(stage, ref, id);
      assert.deepEqual([stdout, end?.outcome, end?.exitCode], ["up\n", "timed_out", null]);
    },
  },
  {
    name: "a journal ends at its cap and says so, and the process goes on",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await start(stage, ref, "head -c 500000 /dev/zero; echo went on > /tmp/on; exit 4", { maxOutputBytes: 1000 });
      const { stdout, end } = await journal(stage, ref, id);
      assert.deepEqual([stdout.length, end?.truncated, end?.exitCode], [1000, true, 4]);
      assert.equal(await stage.sh(ref, "cat /tmp/on"), "went on\n");
    },
  },
  {
    name: "a process that is not there is absent, and cannot be used",
    capability: "exec.background",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = newId("process");
      assert.equal(await stage.processes.status(ref, id, stage.op()), "absent");
      assert.deepEqual(await stage.processes.list(ref, stage.op()), []);
      await refuses(["process_not_found"], "a signal", () => stage.processes.signal(ref, id, "SIGTERM", stage.op()));
      await refuses(["process_not_found"], "its output", () => journal(stage, ref, id));
    },
  },
];
