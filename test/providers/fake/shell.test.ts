import { describe, expect, test } from "vitest";
import { open, op, run, spec } from "./open.ts";

const provider = open();

async function sandbox() {
  return (await provider.create(spec(), op())).ref;
}

describe("the fake's shell", () => {
  test.each([
    ["echo hello world", "hello world\n"],
    ["printf '%s-%d\\n' a 1 b 2", "a-1\nb-2\n"],
    ["echo 'a  $HOME' \"$X y\" $X", "a  $HOME 1 2 y 1 2\n"],
    ["false || echo or; true && echo and", "or\nand\n"],
    ["echo one > f; echo two >> f; cat f | wc -l", "2\n"],
    ["cd /tmp && pwd; (cd /; pwd); pwd", "/tmp\n/\n/tmp\n"],
    ["echo $(echo in $(echo deep))", "in deep\n"],
    ["sh -c 'echo $1-$0' name arg", "arg-name\n"],
    ["A=x; echo ${A}y ${B:-none}", "xy none\n"],
    ["false; echo $?; ! true; echo $?", "1\n1\n"],
    ["echo err >&2; cat f 2>&1", "cat: f: No such file or directory\n"],
    ["sleep 0.01 & wait $!; echo $?", "0\n"],
    ["sleep 50 & kill -9 $!; wait $!; echo $?", "137\n"],
    ["yes | head -c 4", "y\ny\n"],
    ["seq 3 | tail -n 2 | tee copy; cat copy", "2\n3\n2\n3\n"],
    ["head -c 5 /dev/zero | tr '\\0' x", "xxxxx"],
    ["env -i A=1 env", "A=1\n"],
    ["printf 'a\\nb\\n' | { read x; echo got $x; }", "got a\n"],
    ["{ echo a; echo b; } > f; [ -s f ] && test -f f && echo yes", "yes\n"],
  ])("%s", async (line, expected) => {
    const { stdout } = await run(provider, await sandbox(), line, { env: { X: "1 2" } });
    expect(stdout).toBe(expected);
  });

  test("an unknown command answers 127 with the usual message", async () => {
    const { stderr, end } = await run(provider, await sandbox(), "frobnicate --now");
    expect({ stderr, code: end?.exitCode }).toEqual({ stderr: "sh: frobnicate: not found\n", code: 127 });
  });

  test("a construct it does not know is refused with status 2, never guessed at", async () => {
    const { stderr, end } = await run(provider, await sandbox(), "for i in 1 2; do echo $i; done");
    expect(end?.exitCode).toBe(2);
    expect(stderr).toContain('"for" is not known');
  });

  test("a command that uses too much memory is killed and says so", async () => {
    const ref = await sandbox();
    const { end } = await run(provider, ref, "oom");
    expect(end).toMatchObject({ outcome: "signaled", signal: "SIGKILL", exitCode: 137, oomKilled: true });
    expect(await provider.inspect(ref, op())).toMatchObject({ state: "running", usage: { oom_kills: 1 } });
  });

  test("a full disk fails the write and leaves the sandbox usable", async () => {
    const { ref } = await provider.create(
      spec({ resources: { cpu: 1, memoryBytes: 2 ** 28, diskBytes: 1000, inodes: 100, pids: 64 } }),
      op(),
    );
    const { stderr } = await run(provider, ref, "head -c 2000 /dev/zero > big");
    expect(stderr).toContain("No space left on device");
    expect((await run(provider, ref, "rm big; echo ok > small; cat small")).stdout).toBe("ok\n");
  });
});
