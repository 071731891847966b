import assert from "node:assert/strict";
import { newId } from "../contract/index.ts";
import type { Ref } from "../contract/index.ts";
import { assertDied } from "./cases-kill.ts";
import { journal } from "./cases-processes.ts";
import type { Stage } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

async function open(stage: Stage, ref: Ref, shell: string): Promise<string> {
  const id = newId("process");
  await stage.processes.start(
    ref,
    { id, run: { shell } },
    { pty: { cols: 100, rows: 30 }, stdin: "pipe", maxOutputBytes: 2 ** 20 },
    stage.op(),
  );
  return id;
}

const text = async (stage: Stage, ref: Ref, id: string) => (await journal(stage, ref, id, 0, false)).stdout;

/** Terminals. */
export const TERMINAL_CASES: readonly CaseDefinition[] = [
  {
    name: "a pty is a terminal of the size that was asked for, and can be resized",
    capability: "exec.pty",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await open(stage, ref, "test -t 0 && test -t 1 && stty size; read line; stty size; echo got $line >&2");
      await stage.eventually("the first size", async () => (await text(stage, ref, id)).includes("30 100\r\n"));
      await stage.processes.resize(ref, id, { cols: 120, rows: 40 }, stage.op());
      await stage.processes.write(ref, id, Buffer.from("typed\n"), stage.op());
      const { stdout, stderr, end } = await journal(stage, ref, id);
      assert.ok(stdout.includes("40 120\r\n") && stdout.includes("got typed\r\n"), `the terminal showed ${JSON.stringify(stdout)}`);
      assert.deepEqual([stderr, end?.exitCode], ["", 0]);
    },
  },
  {
    name: "what is typed at a pty is echoed",
    capability: "exec.pty",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await open(stage, ref, "echo ready; cat");
      await stage.eventually("readiness", async () => (await text(stage, ref, id)).includes("ready\r\n"));
      await stage.processes.write(ref, id, Buffer.from("hello\n"), stage.op());
      await stage.eventually("the echo and cat's own line", async () => (await text(stage, ref, id)).endsWith("hello\r\nhello\r\n"));
      await stage.processes.write(ref, id, Uint8Array.of(4), stage.op());
      assert.equal((await journal(stage, ref, id)).end?.exitCode, 0);
    },
  },
  {
    name: "^C at a pty interrupts",
    capability: "exec.pty",
    async run(stage) {
      const ref = await stage.sandbox();
      const id = await open(stage, ref, "echo ready; sleep 60; echo not reached");
      await stage.eventually("readiness", async () => (await text(stage, ref, id)).includes("ready\r\n"));
      await stage.processes.write(ref, id, Uint8Array.of(3), stage.op());
      const { stdout, end } = await journal(stage, ref, id);
      assert.ok(end !== undefined && !stdout.includes("not reached"));
      assertDied(end, "SIGINT", 130);
    },
  },
];
