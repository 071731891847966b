import { expect, test } from "vitest";
import { cli, document } from "./cli.ts";

interface Listed {
  id: string;
  state: string;
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("%s during a run ends the command and the sandbox, and exits %i", async (signal, code) => {
  const box = cli();
  const server = await box.serve();
  const { child, done, seen } = box.start(["run", "--", "sh", "-c", "echo started; sleep 600"]);
  await seen(/started/);
  child.kill(signal);
  expect(await done).toMatchObject({ code });
  expect(document(await box.run(["ls", "--all", "--json"])) as Listed[]).toEqual([expect.objectContaining({ state: "terminated" })]);
  expect((await server.stop()).code).toBe(0);
});

test("a run in its own process cleans up on SIGINT as well", async () => {
  const box = cli();
  const { child, done, seen } = box.start(["run", "--", "sh", "-c", "echo started; sleep 600"]);
  await seen(/started/);
  child.kill("SIGINT");
  expect(await done).toMatchObject({ code: 130 });
  expect(document(await box.run(["ls", "--all", "--json"])) as Listed[]).toEqual([expect.objectContaining({ state: "terminated" })]);
});

test("a signal while the sandbox is being made ends it once it is", async () => {
  const box = cli({ faults: [{ on: "create", kind: "slow", delay_ms: 1500 }] });
  const server = await box.serve();
  const { child, done } = box.start(["run", "--", "echo", "hello"]);
  await expect.poll(async () => (document(await box.run(["ls", "--json"])) as Listed[]).length, { timeout: 30_000 }).toBe(1);
  child.kill("SIGINT");
  expect(await done).toMatchObject({ code: 130, stdout: "" });
  expect(document(await box.run(["ls", "--all", "--json"])) as Listed[]).toEqual([expect.objectContaining({ state: "terminated" })]);
  await server.stop();
});

test("a second signal leaves at once and names the sandbox that is left to its ttl", async () => {
  const box = cli({ faults: [{ on: "destroy", kind: "slow", delay_ms: 20_000, times: 1 }] });
  const server = await box.serve();
  const { child, done, seen } = box.start(["run", "--", "sh", "-c", "echo started; sleep 600"]);
  await seen(/started/);
  child.kill("SIGINT");
  await expect.poll(async () => (document(await box.run(["ls", "--json"])) as Listed[])[0]?.state, { timeout: 30_000 }).toBe("stopping");
  child.kill("SIGINT");
  const ran = await done;
  expect(ran.code).toBe(130);
  expect(ran.stderr).toMatch(/sandbox sb\w+ ends at its ttl/);
  await server.stop("SIGKILL");
});

test("a reader that goes away ends the run and its sandbox", async () => {
  const box = cli();
  const server = await box.serve();
  const { child, done, seen } = box.start(["run", "--", "cat"]);
  const timer = setInterval(() => child.stdin?.write("line\n"), 50);
  child.stdin?.on("error", () => clearInterval(timer));
  await seen(/line/);
  child.stdout?.destroy();
  await done;
  clearInterval(timer);
  expect((await done).code).toBe(141);
  expect(document(await box.run(["ls", "--all", "--json"])) as Listed[]).toEqual([expect.objectContaining({ state: "terminated" })]);
  await server.stop();
});
