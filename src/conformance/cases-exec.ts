import assert from "node:assert/strict";
import { SandboxerError } from "../contract/index.ts";
import { ALL_BYTES, bytesOf } from "./stage.ts";
import type { CaseDefinition } from "./suite.ts";

/** What goes into a command: its words, directory, environment, input and user; and its exit code. */
export const EXEC_CASES: readonly CaseDefinition[] = [
  {
    name: "argv reaches the program word for word",
    async run(stage) {
      const words = ["a b", "$HOME", "'", '"', "*", "", "\\", "é\n", "; exit 9", "-n", "`id`"];
      const { stdout } = await stage.run(await stage.sandbox(), { run: { argv: ["printf", "[%s]", ...words] } });
      assert.equal(stdout.toString(), words.map((word) => `[${word}]`).join(""));
    },
  },
  {
    name: "a shell line keeps its quotes, pipes and variables",
    async run(stage) {
      const text = await stage.sh(
        await stage.sandbox(),
        `A="a'b"; printf '%s|' "$A" 'c"d $A'; printf 'x\\ny\\n' | { read L; printf '%s' "$L"; }`,
      );
      assert.equal(text, `a'b|c"d $A|x`);
    },
  },
  {
    name: "a command runs in its cwd",
    capability: "exec.cwd_env",
    async run(stage) {
      const ref = await stage.sandbox();
      await stage.sh(ref, "mkdir -p '/tmp/work dir/inner'");
      const { stdout } = await stage.run(ref, { run: { argv: ["pwd"] }, cwd: "/tmp/work dir/inner" });
      assert.equal(stdout.toString(), "/tmp/work dir/inner\n");
      const { stdout: shell } = await stage.run(ref, { run: { shell: "pwd" }, cwd: "/tmp/work dir" });
      assert.equal(shell.toString(), "/tmp/work dir\n");
    },
  },
  {
    name: "a cwd that is not there runs nothing",
    capability: "exec.cwd_env",
    async run(stage) {
      const ref = await stage.sandbox();
      try {
        const { stdout, end } = await stage.run(ref, { run: { shell: "echo ran" }, cwd: "/tmp/not/there" });
        assert.notEqual(end.exitCode, 0);
        assert.equal(stdout.toString(), "");
      } catch (thrown) {
        assert.ok(thrown instanceof SandboxerError, `it threw ${String(thrown)}`);
      }
    },
  },
  {
    name: "a command has its env, over the sandbox's own, and the next one does not",
    capability: "exec.cwd_env",
    async run(stage) {
      const { ref } = await stage.create({ env: { OF_SANDBOX: "kept", BOTH: "sandbox" } });
      const value = `é'"$HOME\`id\` \\ x`;
      const shell = `printf '%s|%s|%s' "$OWN" "$BOTH" "$OF_SANDBOX"`;
      const { stdout } = await stage.run(ref, { run: { shell }, env: { OWN: value, BOTH: "command" } });
      assert.equal(stdout.toString(), `${value}|command|kept`);
      assert.equal(await stage.sh(ref, shell), "|sandbox|kept");
    },
  },
  {
    name: "without stdin a command reads the end at once",
    async run(stage) {
      assert.equal(await stage.sh(await stage.sandbox(), "cat; echo end"), "end\n");
    },
  },
  {
    name: "stdin bytes arrive byte for byte, then the end",
    capability: "exec.stdin",
    async run(stage) {
      const { stdout, end } = await stage.run(
        await stage.sandbox(),
        { run: { argv: ["cat"] } },
        { stdin: { kind: "bytes", bytes: ALL_BYTES } },
      );
      assert.deepEqual(stdout, ALL_BYTES);
      assert.equal(end.exitCode, 0);
    },
  },
  {
    name: "piped stdin is live: each line is answered before the next is sent",
    capability: "exec.stdin",
    async run(stage) {
      const answered = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      async function* lines() {
        yield* bytesOf("one\n");
        await answered[0]?.promise;
        yield* bytesOf("two\n");
        await answered[1]?.promise;
      }
      let text = "";
      let exitCode: number | null = null;
      for await (const event of stage.exec(
        await stage.sandbox(),
        { run: { argv: ["cat"] } },
        { stdin: { kind: "pipe", stream: lines() } },
      )) {
        if (event.type === "stdout") text += Buffer.from(event.data).toString();
        if (text === "one\n") answered[0]?.resolve();
        if (text === "one\ntwo\n") answered[1]?.resolve();
        if (event.type === "exited") exitCode = event.exitCode;
      }
      assert.deepEqual({ text, exitCode }, { text: "one\ntwo\n", exitCode: 0 });
    },
  },
  {
    name: "5 MB of piped stdin arrive whole",
    capability: "exec.stdin",
    async run(stage) {
      const block = new Uint8Array(50_000).fill(120);
      const { stdout } = await stage.run(
        await stage.sandbox(),
        { run: { shell: "wc -c" } },
        { stdin: { kind: "pipe", stream: bytesOf(...Array.from({ length: 100 }, () => block)) } },
      );
      assert.equal(Number(stdout.toString()), 5_000_000);
    },
  },
  {
    name: "a command that does not read its stdin ends all the same",
    capability: "exec.stdin",
    async run(stage) {
      async function* endless() {
        for (;;) yield new Uint8Array(65_536);
      }
      const { end } = await stage.run(await stage.sandbox(), { run: { shell: "exit 7" } }, { stdin: { kind: "pipe", stream: endless() } });
      assert.equal(end.exitCode, 7);
    },
  },
  {
    name: "exit codes are told as they are",
    async run(stage) {
      const ref = await stage.sandbox();
      for (const code of [0, 1, 2, 42, 126, 255]) {
        const { end } = await stage.run(ref, { run: { shell: `exit ${code}` } });
        assert.deepEqual([end.outcome, end.exitCode, end.truncated], ["exited", code, false]);
      }
    },
  },
  {
    name: "a command that is not there is 127, never 0",
    async run(stage) {
      const { stderr, end } = await stage.run(await stage.sandbox(), { run: { shell: "no-such-command-anywhere" } });
      assert.equal(end.exitCode, 127);
      assert.notEqual(stderr.length, 0);
    },
  },
  {
    name: "a command runs as the user that was asked for",
    capability: "exec.user",
    async run(stage) {
      const ref = await stage.sandbox();
      const own = (await stage.sh(ref, "id -u")).trim();
      for (const user of [own, "4321"]) {
        try {
          const { stdout } = await stage.run(ref, { run: { argv: ["id", "-u"] }, user });
          assert.equal(stdout.toString().trim(), user);
        } catch (thrown) {
          // A backend may know fewer users, but must say so.
          assert.ok(thrown instanceof SandboxerError && user !== own, `as user ${user}: ${String(thrown)}`);
        }
      }
    },
  },
  {
    name: "20 commands at once keep their outputs apart",
    async run(stage) {
      const ref = await stage.sandbox();
      const line = (index: number) => `echo start-${index}; sleep ${stage.seconds(0.1)}; echo end-${index}; exit ${index}`;
      const results = await Promise.all(Array.from({ length: 20 }, (_, index) => stage.run(ref, { run: { shell: line(index) } })));
      for (const [index, { stdout, end }] of results.entries())
        assert.deepEqual([stdout.toString(), end.exitCode], [`start-${index}\nend-${index}\n`, index]);
    },
  },
];
