import { expect, test } from "vitest";
import { newId } from "../../src/contract/ids.ts";
import type { Attachment, Process, SandBoxerOptions } from "../../src/sdk/index.ts";
import { liveServer } from "./live-server.ts";

async function textOf(process_: Process): Promise<string> {
  let text = "";
  for await (const event of process_.output()) if (event.type !== "ended") text += Buffer.from(event.data).toString();
  return text;
}

test("a background process is listed, waited for, and its output read from any offset", async () => {
  const sandbox = await (await liveServer()).client().create();
  const process_ = await sandbox.spawn("echo first; sleep 0.3; echo second; exit 5");
  expect((await sandbox.processes.list()).map(({ id }) => id)).toEqual([process_.id]);
  const ended = await process_.wait();
  expect(ended).toMatchObject({ state: "ended", end: { outcome: "exited", exit_code: 5 } });
  expect(await textOf(process_)).toBe("first\nsecond\n");
  let after: number | undefined;
  for await (const event of process_.output({ follow: false })) after ??= event.offset;
  let rest = "";
  for await (const event of (await sandbox.processes.get(process_.id)).output({ offset: after ?? 0 }))
    if (event.type !== "ended") rest += Buffer.from(event.data).toString();
  expect(rest).toBe("second\n");
});

test("wait gives the process as it is when its time is over", async () => {
  const sandbox = await (await liveServer()).client().create();
  const process_ = await sandbox.spawn("sleep 600");
  expect((await process_.wait({ timeoutMs: 50 })).state).toBe("running");
  await process_.kill();
  expect((await process_.wait()).end).toMatchObject({ exit_code: expect.toSatisfy((code) => code !== 0) });
});

test("standard input is written to and closed", async () => {
  const sandbox = await (await liveServer()).client().create();
  const process_ = await sandbox.spawn(["cat"], { stdin: "pipe" });
  await process_.write("one ");
  await process_.write(new TextEncoder().encode("two"));
  await process_.closeStdin();
  await process_.wait();
  expect(await textOf(process_)).toBe("one two");
});

const WAYS: [string, SandBoxerOptions][] = [
  ["a WebSocket", {}],
  ["fetch alone", { WebSocket: false }],
];

async function until(attachment: Attachment, pattern: RegExp): Promise<string> {
  let text = "";
  for await (const event of attachment) {
    if (event.type === "ended") return `${text}[ended ${event.exitCode}]`;
    text += Buffer.from(event.data).toString();
    if (pattern.test(text)) return text;
  }
  return text;
}

test.each(WAYS)("attached over %s, input goes in, output comes out, and the end is seen", async (_way, options) => {
  const sandbox = await (await liveServer()).client(options).create();
  const process_ = await sandbox.spawn("cat; exit 7", { stdin: "pipe" });
  const attachment = await process_.attach();
  await attachment.write("one\n");
  await attachment.write("two\n");
  await attachment.closeStdin();
  expect(await until(attachment, /never/)).toBe("one\ntwo\n[ended 7]");
});

test.each(WAYS)("attached over %s to a terminal, keys, sizes and signals arrive", async (_way, options) => {
  const sandbox = await (await liveServer()).client(options).create();
  const process_ = await sandbox.pty({ cols: 80, rows: 24 }, { command: "cat" });
  const attachment = await process_.attach();
  await attachment.resize({ cols: 120, rows: 40 });
  await attachment.write("typed\r");
  await attachment.signal("SIGKILL");
  expect(await until(attachment, /never/)).toMatch(/\[ended/);
});

test.each(WAYS)("detaching from %s leaves the process running, and one can attach again", async (_way, options) => {
  const sandbox = await (await liveServer()).client(options).create();
  const process_ = await sandbox.spawn("cat", { stdin: "pipe" });
  const first = await process_.attach();
  await first.write("before\n");
  expect(await until(first, /before\n/)).toBe("before\n");
  first.detach();
  expect((await process_.refresh()).state).toBe("running");
  const second = await process_.attach({ offset: 0 });
  expect(await until(second, /before\n/)).toBe("before\n");
  second.detach();
  await process_.kill();
});

test("attaching to a process that does not exist is refused", async () => {
  const sandbox = await (await liveServer()).client().create();
  await expect(sandbox.processes.get(newId("process"))).rejects.toMatchObject({ code: "process_not_found" });
});
