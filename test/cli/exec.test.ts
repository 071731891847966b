import { expect, test } from "vitest";
import { cli, document, type Cli } from "./cli.ts";

async function served(): Promise<{ box: Cli; id: string }> {
  const box = cli();
  await box.serve();
  return { box, id: (await box.run(["create"])).stdout.trim() };
}

test("exec passes input, output, error and the exit code through, over the server's socket", async () => {
  const { box, id } = await served();
  expect(await box.run(["exec", id, "--", "cat"], { input: "through" })).toMatchObject({ code: 0, stdout: "through" });
  expect(await box.run(["exec", id, "--", "sh", "-c", "echo out; echo err >&2; exit 42"])).toMatchObject({
    code: 42,
    stdout: "out\n",
    stderr: "err\n",
  });
  expect(await box.run(["exec", "-e", "A=1", "-w", "/tmp", id, "sh", "-c", "echo $A; pwd"])).toMatchObject({
    code: 0,
    stdout: "1\n/tmp\n",
  });
});

test("a command whose standard input stays open and silent starts and ends all the same", async () => {
  const { box, id } = await served();
  expect(await box.start(["exec", id, "--", "echo", "hello"]).done).toMatchObject({ code: 0, stdout: "hello\n" });
});

test("input goes in while output comes out", async () => {
  const { box, id } = await served();
  const { child, done, seen } = box.start(["exec", id, "--", "cat"]);
  child.stdin?.write("first\n");
  await seen(/first/);
  child.stdin?.end("second\n");
  expect(await done).toMatchObject({ code: 0, stdout: "first\nsecond\n" });
});

test("ten megabytes go in and come out byte for byte", async () => {
  const { box, id } = await served();
  const input = Buffer.alloc(10 << 20, "0123456789abcdef\n");
  const ran = await box.run(["exec", id, "--", "cat"], { input });
  expect(ran.code).toBe(0);
  expect(ran.stdout === input.toString()).toBe(true);
});

test("a signal ends the command on the server and gives 128+n; the sandbox lives on", async () => {
  const { box, id } = await served();
  const { child, done, seen } = box.start(["exec", id, "--", "sh", "-c", "echo started; sleep 600"]);
  await seen(/started/);
  child.kill("SIGTERM");
  expect(await done).toMatchObject({ code: 143 });
  await expect.poll(async () => (await box.run(["events", "--sandbox", id])).stdout, { timeout: 20_000 }).toMatch(/exec\.finished/);
  expect(document(await box.run(["show", id, "--json"]))).toMatchObject({ state: "ready" });
});

test("-t joins a terminal: keys go in, the echo comes out, Ctrl-D ends it", async () => {
  const { box, id } = await served();
  const { child, done, seen } = box.start(["exec", "-t", id, "--", "cat"]);
  child.stdin?.write("typed\n");
  await seen(/typed/);
  child.stdin?.end();
  expect((await done).code).toBe(0);
});

test("shell opens a shell whose exit code is ours", async () => {
  const { box, id } = await served();
  const { child, done } = box.start(["shell", id]);
  child.stdin?.write("exit 9\n");
  expect((await done).code).toBe(9);
});

test("exec -d starts in the background; ps lists it and logs prints what it wrote", async () => {
  const { box, id } = await served();
  const process_ = (await box.run(["exec", "-d", id, "--", "sh", "-c", "echo from the background; echo err >&2"])).stdout.trim();
  expect(process_).toMatch(/^pr/);
  expect(await box.run(["logs", "-f", id, process_])).toMatchObject({ code: 0, stdout: "from the background\n", stderr: "err\n" });
  expect((await box.run(["logs", id])).stdout).toBe("from the background\n");
  expect((await box.run(["ps", id])).stdout).toMatch(new RegExp(`${process_} +exited 0`));
});

test("exec in a sandbox that does not exist exits 125 and names the next step", async () => {
  const { box } = await served();
  const ran = await box.run(["exec", "sb01kb8t4m9zk3v5x7qpw2ch", "--", "true"]);
  expect(ran.code).toBe(125);
  expect(ran.stderr).toMatch(/error\[sandbox_not_found\][\s\S]*next: /);
});
