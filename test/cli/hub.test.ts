import { expect, test } from "vitest";
import { openReceiver, until } from "../support/receiver.ts";
import { cli, document } from "./cli.ts";

interface Event {
  seq: number;
}

test("a webhook is added, tested, told of what happens, listed and removed", async () => {
  const [box, receiver] = [cli(), await openReceiver()];
  await box.serve();
  const made = await box.run(["webhook", "add", receiver.url, "--type", "sandbox.*"]);
  expect(made.stdout).toMatch(/^whsec_[A-Za-z0-9+/=]{44}\n$/);
  const [, id = ""] = /webhook (wh\w+)/.exec(made.stderr) ?? [];
  expect((await box.run(["webhook", "test", id])).stdout).toMatch(/^delivered: it answered 204/);
  await box.run(["run", "--", "true"]);
  await until(() => receiver.taken.some(({ events }) => events[0]?.type === "dev.sandboxer.sandbox.terminated.v1"));
  expect((await box.run(["webhook", "ls"])).stdout).toMatch(new RegExp(`^${id} +${receiver.url} +sandbox\\.\\* +ok`, "m"));
  expect((await box.run(["__complete", "webhook", "rm", ""])).stdout).toBe(`${id}\n`);
  expect((await box.run(["webhook", "add", receiver.url, "--type", "sandbox.redy"])).stderr).toContain("sandbox.ready");
  expect(await box.run(["webhook", "rm", id])).toMatchObject({ code: 0, stdout: `${id}\n` });
  expect((await box.run(["audit", "ls"])).stdout).toMatch(/webhook\.added.*\n.*webhook\.removed/);
  expect((await box.run(["audit", "verify"])).stdout).toMatch(/^whole: \d+ entries/);
});

test("events --follow goes over a restart of the server, and over its kill, without a loss or a repeat", async () => {
  const box = cli();
  const first = await box.serve();
  const key = (document(await box.run(["keys", "create", "feed", "--scope", "admin", "--json"])) as { secret: string }).secret;
  const feed = box.start(["events", "--follow", "--json"], { env: { SANDBOXER_URL: "", SANDBOXER_API_KEY: key } });
  await feed.seen(/key\.created/);
  await box.run(["run", "--", "true"]);
  await first.stop("SIGTERM");
  const second = await box.serve();
  await box.run(["run", "--", "true"]);
  await second.stop("SIGKILL");
  await box.serve();
  await box.run(["profile", "ls"]);
  await box.run(["keys", "create", "last"]);
  await feed.seen(/"name":"last"/);
  feed.child.kill("SIGINT");
  const { stdout } = await feed.done;
  const followed = stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as Event).seq);
  const all = (await box.run(["events", "--json"])).stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as Event).seq);
  expect(followed).toEqual(all.slice(0, followed.length));
  expect(followed.length).toBeGreaterThan(10);
});
