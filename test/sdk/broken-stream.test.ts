import { expect, test } from "vitest";
import { SandBoxer, type Sandbox } from "../../src/sdk/index.ts";
import { serverLike, sse } from "./server-like.ts";

const ENDED = { outcome: "exited", exit_code: 0, signal: null, oom_killed: false, truncated: false };
const base64 = (text: string) => Buffer.from(text).toString("base64");

async function sandboxWhoseExecs(
  stream: (write: (text: string) => void, cut: () => void) => void,
): Promise<{ sandbox: Sandbox; calls: string[] }> {
  const calls: string[] = [];
  const url = await serverLike((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    if (request.method === "GET" && !request.url?.includes("/output")) {
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify(request.url?.includes("/processes/") ? { id: "pr1", sandbox_id: "sb1" } : { id: "sb1" }));
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    stream(
      (text) => response.write(text),
      () => response.destroy(),
    );
    response.end();
  });
  return { sandbox: await new SandBoxer({ url }).connect("sb1"), calls };
}

test("an exec's stream that ends without its end is an error that says the outcome is unknown, never exit 0", async () => {
  const { sandbox, calls } = await sandboxWhoseExecs((write) =>
    write(sse("started", { exec_id: "ex1" }) + sse("stdout", { data: base64("half") })),
  );
  await expect(Promise.resolve(sandbox.exec("true"))).rejects.toMatchObject({ code: "outcome_unknown", retryable: false });
  expect(calls.filter((call) => call.startsWith("POST"))).toHaveLength(1);
});

test("an exec whose connection is cut is the same", async () => {
  const { sandbox } = await sandboxWhoseExecs((write, cut) => {
    write(sse("started", { exec_id: "ex1" }));
    setTimeout(cut, 20);
  });
  await expect(Promise.resolve(sandbox.exec("true"))).rejects.toMatchObject({ code: "outcome_unknown", retryable: false });
});

test("an error event is thrown with its code, to the iteration and to who awaits after it", async () => {
  const { sandbox } = await sandboxWhoseExecs((write) =>
    write(
      sse("started", { exec_id: "ex1" }) +
        sse("error", { error: { code: "backend_unavailable", message: "gone", hint: "h", retryable: true } }),
    ),
  );
  const run = sandbox.exec("true");
  const seen: string[] = [];
  await expect(
    (async () => {
      for await (const event of run) seen.push(event.type);
    })(),
  ).rejects.toMatchObject({ code: "backend_unavailable", message: "gone" });
  expect(seen).toEqual(["started"]);
  await expect(Promise.resolve(run)).rejects.toMatchObject({ code: "backend_unavailable" });
});

test("output of an awaited exec beyond its cap is dropped and flagged", async () => {
  const { sandbox } = await sandboxWhoseExecs((write) => {
    write(
      sse("started", { exec_id: "ex1" }) +
        sse("stdout", { data: base64("12345") }) +
        sse("stderr", { data: base64("67890") }) +
        sse("exited", { ...ENDED, duration_ms: 1 }),
    );
  });
  const { stdout, stderr, truncated, exitCode } = await sandbox.exec("true", { maxOutputBytes: 7 });
  expect({ stdout, stderr, truncated, exitCode }).toEqual({ stdout: "12345", stderr: "67", truncated: true, exitCode: 0 });
});

test("a process's output is taken up again from the byte where its stream broke", async () => {
  let attempt = 0;
  const { sandbox, calls } = await sandboxWhoseExecs((write) => {
    write(
      ++attempt === 1
        ? sse("stdout", { data: base64("one"), offset: 12 })
        : sse("stdout", { data: base64("two"), offset: 24 }) + sse("ended", { ...ENDED, offset: 24 }),
    );
  });
  const process_ = await sandbox.processes.get("pr1");
  const seen: string[] = [];
  for await (const event of process_.output()) seen.push(event.type === "ended" ? "ended" : Buffer.from(event.data).toString());
  expect(seen).toEqual(["one", "two", "ended"]);
  expect(calls.filter((call) => call.includes("/output"))).toEqual([
    "GET /v1/sandboxes/sb1/processes/pr1/output?offset=0&follow=true",
    "GET /v1/sandboxes/sb1/processes/pr1/output?offset=12&follow=true",
  ]);
});

test("a process's output that breaks again and again without progress is an error", async () => {
  const { sandbox } = await sandboxWhoseExecs(() => {});
  const process_ = await sandbox.processes.get("pr1");
  await expect(process_.output().next()).rejects.toMatchObject({ code: "outcome_unknown", retryable: false });
});
