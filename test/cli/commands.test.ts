import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli, document, type Cli } from "./cli.ts";

async function served(): Promise<Cli> {
  const box = cli();
  await box.serve();
  return box;
}

test("create, ls, show, renew and rm work on the same sandbox", async () => {
  const box = await served();
  const id = (await box.run(["create", "--name", "mine", "-m", "job=7", "--ttl", "10m", "--memory", "64MiB"])).stdout.trim();
  expect(id).toMatch(/^sb[0-9a-z]{22}$/);
  expect((await box.run(["ls"])).stdout).toMatch(new RegExp(`${id} +ready +default@1 +fake +container .* mine`));
  expect((await box.run(["ls", "-q", "-m", "job=8"])).stdout).toBe("");
  expect((await box.run(["show", id])).stdout).toMatch(/isolation +container \(at least container asked\)/);
  const before = (document(await box.run(["show", id, "--json"])) as { expires_at: string }).expires_at;
  const renewed = document(await box.run(["renew", id, "20m", "--json"])) as { expires_at: string };
  expect(Date.parse(renewed.expires_at)).toBeGreaterThan(Date.parse(before));
  expect(await box.run(["rm", id])).toMatchObject({ code: 0, stdout: `${id}\n` });
  expect((await box.run(["ls", "-q"])).stdout).toBe("");
  expect((await box.run(["ls", "-q", "--state", "terminated"])).stdout).toBe(`${id}\n`);
});

test("pause, resume and a scope's key work on the same sandbox", async () => {
  const box = await served();
  const id = (await box.run(["create", "--scope-key", "chat-81"])).stdout.trim();
  expect(await box.run(["pause", id])).toMatchObject({ code: 0, stdout: `${id} is paused\n` });
  const refused = await box.run(["exec", id, "--", "true"]);
  expect(refused).toMatchObject({ code: 125 });
  expect(refused.stderr).toMatch(/error\[wrong_state\].*sand-boxer resume/s);
  expect((await box.run(["show", id])).stdout).toMatch(/standing still +since .*: user\n.*found by +session chat-81/s);
  expect((await box.run(["pause", "--suspend", id])).stdout).toBe(`${id} is suspended\n`);
  expect((await box.run(["resume", id])).stdout).toBe(`${id} is ready\n`);
  const found = await box.run(["create", "--scope-key", "chat-81"]);
  expect(found.stdout).toBe(`${id}\n`);
  expect(found.stderr).toContain("it was there already");
});

test("rm --all ends every live sandbox with the label, and goes on after a failure", async () => {
  const box = await served();
  for (let i = 0; i < 3; i++) await box.run(["create", "-m", `job=${i % 2}`]);
  expect((await box.run(["rm", "--all", "-m", "job=0"])).stdout.trim().split("\n")).toHaveLength(2);
  const [rest = ""] = (await box.run(["ls", "-q"])).stdout.split("\n");
  const ran = await box.run(["rm", "sb01kb8t4m9zk3v5x7qpw2ch", rest]);
  expect(ran).toMatchObject({ code: 125, stdout: `${rest}\n` });
  expect(ran.stderr).toContain("sandbox_not_found");
});

test("profiles are applied from a file, listed and shown, and never change", async () => {
  const box = await served();
  const file = join(box.data, "mine.yaml");
  writeFileSync(file, "kind: profile\nname: mine\nversion: 1\nresources: { memory: 64MiB }\n");
  expect((await box.run(["profile", "apply", file])).stdout).toMatch(/^mine@1 /);
  expect((await box.run(["profile", "ls"])).stdout).toMatch(/^mine@1 +own/m);
  expect((await box.run(["profile", "show", "mine"])).stdout).toContain("resources:\n  memory: ");
  writeFileSync(file, "kind: profile\nname: mine\nversion: 1\n");
  expect((await box.run(["profile", "apply", file])).stderr).toContain("error[conflict]");
  writeFileSync(file, "kind: profile\nname: mine\nversion: 2\nresourcs: {}\n");
  expect((await box.run(["profile", "apply", file])).stderr).toMatch(/resourcs.*resources/s);
});

test("a key made by the CLI opens the API over TCP, and revoking it closes it", async () => {
  const box = cli();
  const { url } = await box.serve();
  const key = document(await box.run(["keys", "create", "ci", "--scope", "read", "--json"])) as { id: string; secret: string };
  const env = { SANDBOXER_URL: url, SANDBOXER_API_KEY: key.secret };
  expect((await box.run(["ls"], { env })).code).toBe(0);
  expect((await box.run(["create"], { env })).stderr).toContain("error[forbidden]");
  expect((await box.run(["keys", "ls"])).stdout).toMatch(new RegExp(`${key.id} +ci`));
  expect((await box.run(["keys", "rm", key.id])).code).toBe(0);
  expect((await box.run(["ls"], { env })).stderr).toContain("error[unauthorized]");
});

test("events are printed in order, and followed until a signal", async () => {
  const box = await served();
  const id = (await box.run(["create"])).stdout.trim();
  const types = (await box.run(["events", "--json", "--sandbox", id])).stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { type: string }).type);
  expect(types.at(-1)).toBe("sandbox.ready");
  const { child, done, seen } = box.start(["events", "-f", "--sandbox", id]);
  await seen(/sandbox\.ready/);
  await box.run(["rm", id]);
  await seen(/sandbox\.terminated/);
  child.kill("SIGINT");
  expect((await done).code).toBe(0);
});

test("backends, route, sweep and version answer, for people and as JSON", async () => {
  const box = await served();
  expect((await box.run(["backends"])).stdout).toMatch(/^fake +fake +available/m);
  expect((await box.run(["route", "explain", "--isolation", "microvm"])).code).toBe(125);
  expect(document(await box.run(["route", "--json"]))).toMatchObject({ chosen: "fake" });
  const asked = ["-p", "python:floor", "--duty-cycle", "0.1", "--avoid", "fake", "--max-price", "0.5", "--region", "eu", "--self-hosted"];
  const { code, stdout } = await box.run(["route", "explain", ...asked]);
  expect([code, stdout]).toEqual([
    125,
    expect.stringMatching(/^no backend would take it\n\nBACKEND .* AT MOST .*\nfake +rejected .*named in routing.ignore/),
  ]);
  expect(document(await box.run(["sweep", "--json"]))).toMatchObject({ errors: [] });
  expect(document(await box.run(["version", "--json"]))).toHaveProperty("version");
});

test("without a server, the commands work in their own process", async () => {
  const box = cli();
  expect((await box.run(["backends"])).stdout).toMatch(/^fake/m);
  const key = (await box.run(["keys", "create", "first"])).stdout.trim();
  expect(key).toMatch(/^sbx_[0-9a-f]{40}$/);
});

test("a second server for the same data directory is refused", async () => {
  const box = await served();
  const ran = await box.run(["serve", "--port", "0"]);
  expect(ran.code).toBe(125);
  expect(ran.stderr).toContain("error[conflict]");
});

test("a server that stops takes its socket along, and a dead one's socket is passed over", async () => {
  const box = cli();
  const server = await box.serve();
  await server.stop("SIGKILL");
  expect((await box.run(["ls"])).code).toBe(0);
  expect((await (await box.serve()).stop()).code).toBe(0);
});

test("what a sandbox was named cannot drive the reader's terminal", async () => {
  const box = await served();
  await box.run(["create", "--name", "evil\u001b[2J\u202e"]);
  const { stdout } = await box.run(["ls"]);
  expect(stdout).not.toContain("\u001b");
  expect(stdout).toContain(String.raw`evil\u001b[2J\u202e`);
});
