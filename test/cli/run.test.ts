import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli, document } from "./cli.ts";
import { scratch } from "./scratch.ts";

interface Listed {
  id: string;
  state: string;
  termination: { reason: string } | null;
}

test("run streams a command's output, exits with its code and ends the sandbox", async () => {
  const box = cli();
  expect(await box.run(["run", "--", "sh", "-c", "echo out; echo err >&2; exit 7"])).toMatchObject({
    code: 7,
    stdout: "out\n",
    stderr: "err\n",
  });
  const [sandbox] = document(await box.run(["ls", "--all", "--json"])) as Listed[];
  expect(sandbox).toMatchObject({ state: "terminated", termination: { reason: "user" } });
});

test("run takes the command also without --, and its options are not ours", async () => {
  expect(await cli().run(["run", "echo", "--json", "-t"])).toMatchObject({ code: 0, stdout: "--json -t\n" });
});

test("a pipe on standard input goes to the command; without one it has none", async () => {
  const box = cli();
  expect(await box.run(["run", "--", "cat"], { input: "piped\0bytes" })).toMatchObject({ code: 0, stdout: "piped\0bytes" });
  expect(await box.run(["run", "--", "cat"])).toMatchObject({ code: 0, stdout: "" });
});

test("a command that does not read its input does not keep run from ending", async () => {
  const box = cli();
  const { done } = box.start(["run", "--", "echo", "done"]);
  expect(await done).toMatchObject({ code: 0, stdout: "done\n" });
});

test("--timeout ends the command with 124 and says so", async () => {
  const ran = await cli().run(["run", "--timeout", "0.2", "--", "sleep", "60"]);
  expect(ran.code).toBe(124);
  expect(ran.stderr).toContain("longer than its timeout");
});

test("--env gives values, and takes them from here where only a name is given", async () => {
  const ran = await cli().run(["run", "-e", "A=1=2", "-e", "HOST_SIDE", "--", "sh", "-c", "echo $A $HOST_SIDE"], {
    env: { HOST_SIDE: "seen" },
  });
  expect(ran.stdout).toBe("1=2 seen\n");
});

test("--copy brings files and trees in before the command runs", async () => {
  const from = scratch();
  writeFileSync(join(from, "f.txt"), "file");
  mkdirSync(join(from, "tree/sub"), { recursive: true });
  writeFileSync(join(from, "tree/sub/g.txt"), "nested");
  const ran = await cli().run(["run", "-c", `${from}/f.txt:in.txt`, "-c", `${from}/tree:t`, "--", "cat", "in.txt", "t/sub/g.txt"]);
  expect(ran).toMatchObject({ code: 0, stdout: "filenested" });
});

test("--json gives one document with the output and how it ended, and the command's exit code", async () => {
  const ran = await cli().run(["run", "--json", "--", "sh", "-c", "echo out; exit 3"]);
  expect(ran.code).toBe(3);
  expect(document(ran)).toMatchObject({
    outcome: "exited",
    exit_code: 3,
    stdout: "out\n",
    stderr: "",
    sandbox: { backend: "fake", kept: false },
  });
});

test("-t gives the command a terminal", async () => {
  const ran = await cli().run(["run", "-t", "--", "sh", "-c", "echo on a terminal; exit 5"]);
  expect(ran.code).toBe(5);
  expect(ran.stdout).toContain("on a terminal");
});

test.each([
  ["create", "fail", "backend_unavailable"],
  ["create", "auth", "backend_auth"],
  ["exec", "cut", "outcome_unknown"],
] as const)("where %s meets %s, run exits 125 with the code, the reason and the next step, and leaves nothing", async (on, kind, code) => {
  const box = cli({ faults: [{ on, kind, times: 10 }] });
  const ran = await box.run(["run", "--", "echo", "hello"]);
  expect(ran.code).toBe(125);
  expect(ran.stderr).toContain(`error[${code}]: `);
  expect(ran.stderr).toMatch(/^next: .+/m);
  expect(document(await box.run(["ls", "--json"])) as Listed[]).toEqual([]);
});

test("with --json our own failure is a JSON document on standard error", async () => {
  const ran = await cli().run(["run", "--json", "--ttl", "-5", "--", "true"]);
  expect(ran.code).toBe(125);
  expect(JSON.parse(ran.stderr)).toMatchObject({ error: { code: "invalid_request", issues: [{ path: "ttl" }] } });
});
