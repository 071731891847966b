import assert from "node:assert/strict";
import type { Pause, Ref, Suspend } from "../contract/index.ts";
import { bytesOf, collect, drain, refuses, type Stage } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done";

function pauseOf(stage: Stage): Pause {
  assert.ok(stage.provider.pause, "a provider that declares pause.memory has the group pause");
  return stage.provider.pause;
}

function suspendOf(stage: Stage): Suspend {
  assert.ok(stage.provider.suspend, "a provider that declares pause.disk has the group suspend");
  return stage.provider.suspend;
}

async function stateOf(stage: Stage, ref: Ref): Promise<string> {
  const observed = await stage.provider.inspect(ref, stage.op());
  return observed === "absent" ? observed : observed.state;
}

/** A command that counts: what it has said so far. Stopped with the signal. */
function counting(stage: Stage, ref: Ref, stop: AbortSignal): { numbers: () => number[]; ended: Promise<unknown> } {
  let text = "";
  const read = async (): Promise<void> => {
    const run = { shell: stage.options.counter ?? COUNTER };
    for await (const event of stage.exec(ref, { run }, { signal: stop }))
      if (event.type === "stdout") text += new TextDecoder().decode(event.data);
  };
  // The last line may be half there.
  const numbers = (): number[] => text.split("\n").slice(0, -1).map(Number);
  return { numbers, ended: read().catch(() => undefined) };
}

async function refusedWhileStill(stage: Stage, ref: Ref): Promise<void> {
  await refuses(["wrong_state"], "exec while it stands still", () => drain(stage.exec(ref, { run: { shell: "true" } })));
  const { files } = stage.provider;
  if (files !== undefined) await refuses(["wrong_state"], "a file while it stands still", () => files.stat(ref, ".", stage.op()));
}

/** Standing still: with memory, and with the disk alone. */
export const REST_CASES: readonly CaseDefinition[] = [
  {
    name: "a pause stops what runs, keeps its memory, and a resume lets it go on where it was",
    capability: "pause.memory",
    async run(stage) {
      const { pause, resume } = pauseOf(stage);
      const ref = await stage.sandbox();
      const stop = new AbortController();
      const counter = counting(stage, ref, stop.signal);
      await stage.eventually("the count begins", async () => counter.numbers().length > 3);
      await pause(ref, stage.op());
      await pause(ref, stage.op());
      assert.equal(await stateOf(stage, ref), "paused");
      for await (const listed of stage.provider.list(stage.op()))
        if (listed.id === ref.id) assert.notEqual(listed.running, true, "a paused one is not listed as running");
      await refusedWhileStill(stage, ref);
      // What was said before the pause may still be on its way.
      await stage.wait(0.3);
      const before = counter.numbers().length;
      await stage.wait(0.6);
      assert.equal(counter.numbers().length, before, "it went on counting");
      await resume(ref, stage.op());
      await resume(ref, stage.op());
      assert.equal(await stateOf(stage, ref), "running");
      await stage.eventually("the count goes on", async () => counter.numbers().length > before + 3);
      stop.abort();
      await counter.ended;
      const numbers = counter.numbers();
      assert.deepEqual(numbers, numbers.map((_, index) => index + 1)); // prettier-ignore
      assert.equal(await stage.sh(ref, "echo up"), "up\n");
    },
  },
  {
    name: "a paused sandbox can be ended, and only that one is paused",
    capability: "pause.memory",
    async run(stage) {
      const { pause } = pauseOf(stage);
      const [still, other] = [await stage.sandbox(), await stage.sandbox()];
      await pause(still, stage.op());
      assert.equal(await stage.sh(other, "echo up"), "up\n");
      assert.equal(await stage.provider.destroy(still, stage.op()), "destroyed");
      assert.deepEqual([await stateOf(stage, still), await stage.listed([still.id, other.id])], ["absent", [other.id]]);
      await refuses(["sandbox_not_found", "wrong_state"], "the pause of what is gone", () => pause(still, stage.op()));
    },
  },
  {
    name: "a suspend ends what runs and keeps the disk, and a wake has it again under the same handle",
    capability: "pause.disk",
    async run(stage) {
      const { suspend, wake } = suspendOf(stage);
      const ref = await stage.sandbox();
      await stage.files.write(ref, "kept", bytesOf("kept\n"), {}, stage.op());
      const stop = new AbortController();
      const counter = counting(stage, ref, stop.signal);
      await stage.eventually("the count begins", async () => counter.numbers().length > 3);
      await suspend(ref, stage.op());
      await suspend(ref, stage.op());
      await counter.ended;
      assert.equal(await stateOf(stage, ref), "suspended");
      assert.deepEqual(await stage.listed([ref.id]), [ref.id]);
      await refuses(["wrong_state", "sandbox_not_found"], "exec while suspended", () => drain(stage.exec(ref, { run: { shell: "true" } })));
      const woken = await wake(ref, stage.op());
      assert.deepEqual(woken.ref, ref);
      assert.equal(await stateOf(stage, ref), "running");
      const { body } = await stage.files.read(ref, "kept", {}, stage.op());
      assert.equal((await collect(body)).toString(), "kept\n");
      assert.equal(await stage.sh(ref, "echo up"), "up\n");
      await suspend(ref, stage.op());
      assert.equal(await stage.provider.destroy(ref, stage.op()), "destroyed");
      assert.equal(await stateOf(stage, ref), "absent");
    },
  },
];
