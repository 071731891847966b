import assert from "node:assert/strict";
import { SandboxerError } from "../contract/index.ts";
import type { End, Ref } from "../contract/index.ts";
import { drain } from "./stage.ts";
import type { Stage } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

/** Processes that would leave a file behind if they lived on: a child, an orphan, and one in its own session where there is setsid. */
function leakers(stage: Stage): string {
  const later = (file: string) => `sleep ${stage.seconds(2)}; echo leaked > /tmp/${file}`;
  return `( ${later("child")} ) & ( ( ${later("orphan")} ) & ); ( setsid sh -c '${later("session")}' 2>/dev/null & )`;
}

async function assertNothingLeaks(stage: Stage, ref: Ref): Promise<void> {
  await stage.wait(3);
  assert.equal(
    await stage.sh(ref, "test -e /tmp/child && echo child; test -e /tmp/orphan && echo orphan; test -e /tmp/session && echo session; true"),
    "",
    "these lived on",
  );
}

/** A death by signal: told as such, or as a shell tells it. */
export function assertDied(end: End, signal: string, status: number): void {
  assert.ok(end.signal === signal || end.exitCode === status, `it ended as ${JSON.stringify(end)}, not by ${signal}`);
  assert.notEqual(end.exitCode, 0);
}

/** How commands are made to end. */
export const KILL_CASES: readonly CaseDefinition[] = [
  {
    name: "a death by signal is told",
    async run(stage) {
      const ref = await stage.sandbox();
      for (const [signal, number] of [
        ["SIGTERM", 15],
        ["SIGKILL", 9],
        ["SIGABRT", 6],
      ] as const) {
        const { end } = await stage.run(ref, { run: { shell: `kill -${number} $$; sleep 10` } });
        assertDied(end, signal, 128 + number);
      }
    },
  },
  {
    name: "exec_timeout kills the whole tree, orphans too, and says timed_out",
    capability: "exec.timeout",
    async run(stage) {
      const ref = await stage.sandbox();
      const { stdout, end } = await stage.run(ref, {
        run: { shell: `echo begun; ${leakers(stage)}; sleep 60` },
        timeoutMs: Math.round(Number(stage.seconds(1)) * 1000),
      });
      assert.deepEqual([stdout.toString(), end.outcome, end.exitCode], ["begun\n", "timed_out", null]);
      await assertNothingLeaks(stage, ref);
    },
  },
  {
    name: "a command within its exec_timeout ends by itself",
    capability: "exec.timeout",
    async run(stage) {
      const { stdout, end } = await stage.run(await stage.sandbox(), { run: { shell: "echo quick; exit 5" }, timeoutMs: 30_000 });
      assert.deepEqual([stdout.toString(), end.outcome, end.exitCode], ["quick\n", "exited", 5]);
    },
  },
  {
    name: "a caller that stops iterating kills the command's tree",
    async run(stage) {
      const ref = await stage.sandbox();
      for await (const event of stage.exec(ref, { run: { shell: `${leakers(stage)}; echo go; sleep 60` } }))
        if (event.type === "stdout") break;
      await assertNothingLeaks(stage, ref);
    },
  },
  {
    name: "an abort ends the exec with an error and kills the command's tree",
    async run(stage) {
      const ref = await stage.sandbox();
      const abort = new AbortController();
      const ended: string[] = [];
      await assert.rejects(async () => {
        for await (const event of stage.exec(ref, { run: { shell: `${leakers(stage)}; echo go; sleep 60` } }, { signal: abort.signal })) {
          if (event.type === "stdout") abort.abort();
          if (event.type === "exited") ended.push(event.outcome);
        }
      }, { code: "canceled" }); // prettier-ignore
      assert.deepEqual(ended, [], "an aborted exec has no end to tell");
      await assertNothingLeaks(stage, ref);
    },
  },
  {
    name: "a signal that is aborted already runs nothing",
    async run(stage) {
      const ref = await stage.sandbox();
      await assert.rejects(drain(stage.exec(ref, { run: { shell: "echo ran > /tmp/ran" } }, { signal: AbortSignal.abort() })));
      assert.equal(await stage.sh(ref, "test -e /tmp/ran && echo ran; true"), "");
    },
  },
  {
    name: "the destruction of its sandbox never looks like success to a command",
    async run(stage) {
      const { ref } = await stage.create();
      let exitCode: number | null = null;
      const watch = async () => {
        for await (const event of stage.exec(ref, { run: { shell: "echo up; sleep 60" } })) {
          if (event.type === "stdout") await stage.provider.destroy(ref, stage.op());
          if (event.type === "exited") exitCode = event.exitCode;
        }
      };
      const [outcome] = await Promise.allSettled([watch()]);
      if (outcome.status === "rejected") assert.ok(outcome.reason instanceof SandboxerError, `it threw ${String(outcome.reason)}`);
      assert.notEqual(exitCode, 0);
    },
  },
];
