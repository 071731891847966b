import assert from "node:assert/strict";
import { ALL_BYTES, PRINT_ALL_BYTES } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

/** What comes out of a command. */
export const OUTPUT_CASES: readonly CaseDefinition[] = [
  {
    name: "output is bytes: every value comes as it was written",
    async run(stage) {
      const { stdout } = await stage.run(await stage.sandbox(), { run: { shell: PRINT_ALL_BYTES } });
      assert.deepEqual(stdout, ALL_BYTES);
    },
  },
  {
    name: "a character split over two writes comes whole",
    async run(stage) {
      const { stdout } = await stage.run(await stage.sandbox(), {
        run: { shell: `printf '\\360\\237'; sleep ${stage.seconds(0.2)}; printf '\\246\\212'` },
      });
      assert.equal(stdout.toString("hex"), "f09fa68a");
    },
  },
  {
    name: "stderr comes apart from stdout",
    capability: "exec.split_stderr",
    async run(stage) {
      const { stdout, stderr } = await stage.run(await stage.sandbox(), { run: { shell: "echo out; echo err >&2; echo out again" } });
      assert.deepEqual([stdout.toString(), stderr.toString()], ["out\nout again\n", "err\n"]);
    },
  },
  {
    name: "output comes while the command runs",
    capability: "exec.stream",
    async run(stage) {
      const ref = await stage.sandbox();
      const seen: string[] = [];
      for await (const event of stage.exec(ref, { run: { shell: "echo first; sleep 30; echo last" } })) {
        if (event.type !== "stdout") continue;
        seen.push(Buffer.from(event.data).toString());
        break;
      }
      assert.deepEqual(seen, ["first\n"]);
    },
  },
  {
    name: "a large output comes whole and in order, and memory stays flat",
    async run(stage) {
      const size = stage.options.outputBytes ?? 100_000_000;
      const line = "0123456789abcde\n";
      const used = () => process.memoryUsage().rss;
      const before = used();
      let [seen, wrong, peak] = [0, 0, before];
      for await (const event of stage.exec(await stage.sandbox(), { run: { shell: `yes 0123456789abcde | head -c ${size}` } })) {
        if (event.type === "exited") assert.equal(event.exitCode, 0);
        if (event.type !== "stdout") continue;
        for (const at of [0, event.data.length - 1]) if (event.data[at] !== line.charCodeAt((seen + at) % 16)) wrong++;
        seen += event.data.length;
        peak = Math.max(peak, used());
      }
      assert.deepEqual({ seen, wrong }, { seen: size, wrong: 0 });
      assert.ok(
        peak - before < Math.max(64e6, size * 0.75),
        `memory grew by ${Math.round((peak - before) / 1e6)} MB for ${Math.round(size / 1e6)} MB of output`,
      );
    },
  },
  {
    name: "a caller that does not take output holds the command back",
    capability: "exec.stream",
    async run(stage) {
      const ref = await stage.sandbox();
      let [size, code] = [0, -1];
      for await (const event of stage.exec(ref, { run: { shell: "head -c 40000000 /dev/zero; echo ran ahead > /tmp/ahead" } })) {
        if (event.type === "stdout" && size === 0) {
          await stage.wait(1);
          const { end } = await stage.run(ref, { run: { shell: "test -e /tmp/ahead" } });
          assert.equal(end.exitCode, 1, "40 MB were written while nobody took them: somebody keeps them in memory");
        }
        if (event.type === "stdout") size += event.data.length;
        if (event.type === "exited") code = event.exitCode ?? -1;
      }
      assert.deepEqual([size, code], [40_000_000, 0]);
    },
  },
  {
    name: "output beyond the cap is dropped and flagged, and the command goes on",
    async run(stage) {
      const ref = await stage.sandbox();
      const { stdout, end } = await stage.run(
        ref,
        { run: { shell: "head -c 300000 /dev/zero; echo went on > /tmp/on; exit 3" } },
        { maxOutputBytes: 1000 },
      );
      assert.deepEqual([stdout.length, end.truncated, end.exitCode], [1000, true, 3]);
      assert.equal(await stage.sh(ref, "cat /tmp/on"), "went on\n");
      const both = await stage.run(ref, { run: { shell: "printf 12345; printf 67890 >&2" } }, { maxOutputBytes: 7 });
      assert.deepEqual([both.stdout.length + both.stderr.length, both.end.truncated], [7, true]);
    },
  },
  {
    name: "output of exactly the cap is not flagged",
    async run(stage) {
      const { stdout, end } = await stage.run(await stage.sandbox(), { run: { shell: "printf 1234567890" } }, { maxOutputBytes: 10 });
      assert.deepEqual([stdout.toString(), end.truncated], ["1234567890", false]);
    },
  },
];
