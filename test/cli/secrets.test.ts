import { spawn } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli, document } from "./cli.ts";

test("a secret is stored from standard input or a file, listed, rotated and removed, and never printed", async () => {
  const box = cli();
  await box.serve();
  expect(await box.run(["secrets", "set", "npm", "--host", "registry.test"], { input: "tell-no-one\n" })).toMatchObject({
    code: 0,
    stdout: "npm\n",
  });
  writeFileSync(join(box.data, "token"), "tell-no-one-2\n");
  expect(document(await box.run(["secrets", "rotate", "npm", "--file", join(box.data, "token"), "--json"]))).toMatchObject({
    name: "npm",
    version: 2,
    hosts: ["registry.test"],
  });
  expect((await box.run(["secrets", "set", "npm"], { input: "x" })).stderr).toMatch(/error\[conflict\].*secrets rotate npm/s);
  expect((await box.run(["secrets", "set", "npm", "--replace"], { input: "x" })).code).toBe(0);
  expect((await box.run(["secrets", "ls"])).stdout).toMatch(/^npm +3 +registry\.test +/m);
  expect(document(await box.run(["secrets", "ls", "--json"]))).toMatchObject([{ name: "npm", version: 3 }]);
  expect((await box.run(["__complete", "secrets", "rm", ""])).stdout).toBe("npm\n");
  expect((await box.run(["secrets", "rm", "npm"], { input: "y\n" })).stderr).toContain("--yes");
  expect(await box.run(["secrets", "rm", "npm", "--yes"])).toMatchObject({ code: 0, stdout: "npm\n" });
  expect((await box.run(["secrets", "rm", "npm", "--yes"])).code, "safe to repeat").toBe(0);
  expect((await box.run(["secrets", "rm", "none", "--yes"])).stderr).toContain("error[secret_not_found]");
  for (const bad of [[], ["none", "--file", "/nowhere"]]) expect((await box.run(["secrets", "set", ...bad], { input: "" })).code).toBe(125);
});

test("a value on the command line is refused with the reason, and not repeated", async () => {
  const box = cli();
  for (const args of [
    ["set", "npm", "tell-no-one"],
    ["set", "npm=tell-no-one"],
    ["rotate", "npm", "tell-no-one"],
    ["set", "npm", "--value=tell-no-one"],
  ]) {
    const ran = await box.run(["secrets", ...args], { input: "other" });
    expect(ran.code).toBe(125);
    expect(ran.stderr).toMatch(/every user of this machine can see it|unknown option --value/);
    expect(ran.stdout + ran.stderr).not.toContain("tell-no-one");
  }
  expect((await box.run(["secrets", "ls", "--json"])).stdout).toBe("[]\n");
});

test("a value is in no file, no log, no command line and no environment of ours", async () => {
  const box = cli();
  const { child, done, seen } = box.start(["serve", "--port", "0", "--json"]);
  await seen(/"url":"([^"]+)"/);
  const [value, second] = [`v${crypto.randomUUID()}`, `v${crypto.randomUUID()}`];
  const processes = (): string[] =>
    globSync("/proc/[0-9]*/{cmdline,environ}").filter((path) => {
      try {
        return [value, second].some((one) => readFileSync(path).includes(one));
      } catch {
        // Gone, or not ours to read.
        return false;
      }
    });
  const control = spawn("sleep", ["60"], { env: { ...process.env, CONTROL: value } });
  await expect.poll(() => processes().length, { message: "the positive control" }).toBe(1);
  control.kill("SIGKILL");
  await expect.poll(() => processes()).toEqual([]);

  const setting = box.start(["secrets", "set", "npm"]);
  setting.child.stdin?.write(value);
  for (let i = 0; i < 20; i++) {
    expect(processes()).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  setting.child.stdin?.end();
  expect(await setting.done).toMatchObject({ code: 0 });
  await box.run(["secrets", "rotate", "npm"], { input: second });
  await box.run(["secrets", "rotate", "npm"], { input: `${value}\n${second}` });
  expect(document(await box.run(["secrets", "ls", "--json"]))).toMatchObject([{ version: 2 }]);
  expect(processes()).toEqual([]);
  expect((await box.run(["events", "--json"])).stdout).toMatch(/secret\.set.*secret\.rotated/s);
  expect((await box.run(["events", "--json"])).stdout).not.toMatch(new RegExp(`${value}|${second}`));
  expect(readFileSync(`/proc/${child.pid}/coredump_filter`, "utf8"), "a crash would not write it down either").toBe("00000000\n");
  child.kill("SIGTERM");
  const { stdout, stderr } = await done;
  expect(stdout + stderr).not.toMatch(new RegExp(`${value}|${second}`));
  const files = globSync("**", { cwd: box.data, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(3);
  for (const { parentPath, name } of files)
    for (const one of [value, second]) expect(readFileSync(join(parentPath, name)).includes(one), name).toBe(false);
});

test("on a terminal a value is asked for and not shown, and rm asks first", async () => {
  const box = cli();
  const entry = join(import.meta.dirname, "../../src/cli/index.ts");
  /** On a real terminal, as `script` makes one; `typed` is sent piece by piece, each after its prompt was seen. */
  const onTerminal = (args: string[], typed: [prompt: RegExp, keys: string][]) =>
    new Promise<{ code: number | null; screen: string }>((resolve, reject) => {
      const line = [process.execPath, entry, ...args].map((word) => `'${word}'`).join(" ");
      const child = spawn("script", ["-qec", line, "/dev/null"], {
        env: { ...process.env, SANDBOXER_DATA: box.data, NODE_NO_WARNINGS: "1" },
      });
      let screen = "";
      const queue = [...typed];
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        screen += text;
        const [next] = queue;
        if (next?.[0].test(screen) !== true) return;
        queue.shift();
        child.stdin.write(next[1]);
      });
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, screen }));
    });
  const set = await onTerminal(["secrets", "set", "npm"], [[/value of npm \(not shown\): /, "tell-no-onf\u007fe\r"]]);
  expect(set).toMatchObject({ code: 0 });
  expect(set.screen).not.toContain("tell");
  expect((await onTerminal(["secrets", "set", "git"], [[/not shown/, "abc\u0003"]])).code).toBe(125);
  expect((await onTerminal(["secrets", "set", "git"], [[/not shown/, "one\rtwo\r"]])).screen).toContain("more than one line");
  expect((await onTerminal(["secrets", "rm", "npm"], [[/Remove secret npm\?.*\[y\/N\] /, "n\r"]])).code).toBe(1);
  expect((await box.run(["secrets", "ls"])).stdout).toMatch(/^npm +1/m);
  expect((await onTerminal(["secrets", "rm", "npm"], [[/\[y\/N\] /, "y\r"]])).code).toBe(0);
  expect((await box.run(["secrets", "ls", "--json"])).stdout).toBe("[]\n");
});
