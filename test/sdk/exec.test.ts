import { expect, test } from "vitest";
import type { ExecEvent } from "../../src/sdk/index.ts";
import { liveServer } from "./live-server.ts";

const sandboxOn = async (fake?: Record<string, unknown>) => (await liveServer(fake)).client().create();

test("an exec that is awaited gives its output and its exit code", async () => {
  const sandbox = await sandboxOn();
  const result = await sandbox.exec("echo out; echo err >&2; exit 3");
  expect(result).toMatchObject({
    outcome: "exited",
    exitCode: 3,
    signal: null,
    truncated: false,
    stdout: "out\n",
    stderr: "err\n",
    ok: false,
  });
  expect(result.execId).toMatch(/^ex/);
  expect(await sandbox.exec(["echo", "a b", "$HOME"])).toMatchObject({ stdout: "a b $HOME\n", ok: true });
});

test("an exec that is iterated gives its events as they come, and its ending when awaited afterwards", async () => {
  const sandbox = await sandboxOn();
  const run = sandbox.exec("echo one; echo two >&2");
  const events: ExecEvent[] = [];
  for await (const event of run) events.push(event);
  expect(events.map(({ type }) => type)).toEqual(["started", "stdout", "stderr", "exited"]);
  const result = await run;
  expect(result.exitCode).toBe(0);
  expect(() => result.stdout).toThrow(/iterated/);
});

test("callbacks see the output of an awaited exec", async () => {
  const sandbox = await sandboxOn();
  const seen: string[] = [];
  const take = (data: Uint8Array) => void seen.push(Buffer.from(data).toString());
  await sandbox.exec("echo out; echo err >&2", { onStdout: take, onStderr: take });
  expect(seen).toEqual(["out\n", "err\n"]);
});

async function* pieces() {
  yield "one ";
  yield new TextEncoder().encode("two ");
  yield "three";
}

test.each([
  ["text", "one two three"],
  ["bytes", new TextEncoder().encode("one two three")],
  ["an async iterable", pieces()],
  ["a stream", new Blob(["one two three"]).stream()],
])("standard input can be %s", async (_what, stdin) => {
  const sandbox = await sandboxOn();
  expect((await sandbox.exec(["cat"], { stdin })).stdout).toBe("one two three");
});

test("a megabyte of every byte goes in and out unchanged", async () => {
  const sandbox = await sandboxOn();
  const bytes = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 7 + (i >> 8)) & 255);
  expect(Buffer.from((await sandbox.exec(["cat"], { stdin: bytes })).stdoutBytes).equals(bytes)).toBe(true);
});

test("a timeout ends the command and says so", async () => {
  const sandbox = await sandboxOn();
  expect(await sandbox.exec("sleep 30", { timeout: 0.2 })).toMatchObject({ outcome: "timed_out", exitCode: null, ok: false });
});

test("leaving the iteration, kill and an aborted signal all end the command on the server", async () => {
  const live = await liveServer();
  const client = live.client();
  const sandbox = await client.create();

  for await (const event of sandbox.exec("sleep 600")) if (event.type === "started") break;
  const killed = sandbox.exec("sleep 600");
  for await (const event of killed) {
    if (event.type === "started") {
      killed.kill();
      break;
    }
  }
  await expect(Promise.resolve(killed)).rejects.toMatchObject({ code: "canceled" });
  const abort = new AbortController();
  const aborted = Promise.resolve(sandbox.exec("sleep 600", { signal: abort.signal }));
  setTimeout(() => abort.abort(), 100);
  await expect(aborted).rejects.toMatchObject({ code: "canceled" });

  const ended: unknown[] = [];
  for await (const event of client.events({ sandboxId: sandbox.id, after: 0 })) {
    if (event.type === "exec.finished") ended.push(event.data["outcome"]);
    if (ended.length === 3) break;
  }
  expect(ended).not.toContain("exited");
});

test("a stream that the backend cuts off is an error, not an exit code", async () => {
  const sandbox = await sandboxOn({ faults: [{ on: "exec", kind: "cut" }] });
  await expect(Promise.resolve(sandbox.exec("echo hello"))).rejects.toMatchObject({ code: "outcome_unknown" });
});

test("an exec in a sandbox that has ended is wrong_state", async () => {
  const sandbox = await sandboxOn();
  await sandbox.destroy();
  await expect(Promise.resolve(sandbox.exec("true"))).rejects.toMatchObject({ code: "wrong_state" });
});
