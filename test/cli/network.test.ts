import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, type TestContext } from "vitest";
import { boundaryPids } from "../support/boundary-process.ts";
import { cli, type Cli, document } from "./cli.ts";

const RULES =
  "kind: profile\nname: net\nversion: 1\nnetwork:\n  allow:\n    - { host: pypi.org }\n    - { host: '*.example.org', ports: [443, 8443] }\n";

async function withProfile(box: Cli): Promise<Cli> {
  const applied = await box.run(["profile", "apply", "-"], { input: RULES });
  expect(applied.stderr).toBe("");
  return box;
}

/** The CLI over this host's own runtime with a boundary, both gone after the test; a skip where there is no runtime. */
async function overLocal(context: TestContext): Promise<Cli> {
  const box = cli();
  onTestFinished(() => {
    for (const pid of boundaryPids(box.data)) process.kill(pid, "SIGKILL");
    const points = readFileSync("/proc/self/mounts", "utf8").split("\n").map((line) => line.split(" ")[1] ?? ""); // prettier-ignore
    for (const point of points.filter((one) => one.startsWith(`${box.data}/`)).toReversed()) execFileSync("umount", ["-l", point]);
  });
  writeFileSync(join(box.data, "sand-boxer.yaml"), "backends: [{ name: local, provider: local, options: { pool: 1 } }]\n");
  const [local] = document(await box.run(["backends", "--json"])) as { available: boolean; capabilities: object; reason: string | null }[];
  if (local?.available !== true || !("net.allow_domain" in local.capabilities))
    context.skip(`no runtime with egress: ${local?.reason ?? ""}`);
  return withProfile(box);
}

test("network check says what a profile answers, exits with 1 where that is no, and makes nothing", async () => {
  const box = await withProfile(cli());
  const yes = await box.run(["network", "check", "net", "https://pypi.org/simple/"]);
  expect([yes.code, yes.stdout]).toEqual([0, expect.stringMatching(/verdict\s+allow\nrule\s+allow\[0\] of net@1/)]);
  const no = await box.run(["network", "check", "net", "https://example.org/", "--json"]);
  expect([no.code, document({ ...no, code: 0 })]).toEqual([
    1,
    expect.objectContaining({ verdict: "deny", reason: "no_rule", needed: { host: "example.org", ports: [443] } }),
  ]);
  expect((await box.run(["ls", "-aq"])).stdout).toBe("");
});

test("network names a verb that is none, and what is missing", async () => {
  const box = cli();
  expect(await box.run(["network", "chek", "net", "x"])).toMatchObject({
    code: 125,
    stderr: expect.stringContaining('did you mean "check"'),
  });
  expect((await box.run(["network", "log"])).code).toBe(125);
});

test("completion knows the verbs, and asks for a profile or a sandbox by them", async () => {
  const box = await withProfile(cli());
  const complete = async (...words: string[]) => (await box.run(["__complete", ...words])).stdout.trim().split("\n");
  expect(await complete("network", "s")).toEqual(["show", "suggest", "set"]);
  expect(await complete("network", "check", "ne")).toEqual(["net", "net@1"]);
});

test("show, set, log and suggest work on a live sandbox", async (context) => {
  const box = await overLocal(context);
  const made = await box.run(["create", "--profile", "net"]);
  const id = made.stdout.trim();
  expect(made).toMatchObject({ code: 0, stderr: "" });
  const shown = await box.run(["network", "show", id]);
  expect(shown.stdout).toMatch(/state\s+attached/);
  expect(shown.stdout).toMatch(/allow\[1\]\s+\*\.example\.org\s+443 8443\s+passthrough\s+whatever is sent/);
  expect((await box.run(["show", id])).stdout).toMatch(/network\s+2 rules, attached/);

  await box.run(["exec", id, "--", "sh", "-c", "getent hosts evil.test; true"]);
  expect((await box.run(["network", "log", id, "--denied"])).stdout).toMatch(/deny\s+dns\s+evil\.test:53\s+no_rule/);
  const suggested = await box.run(["network", "suggest", id]);
  expect(suggested.stdout).toBe("network:\n  allow:\n    - { host: evil.test }\n");

  const dry = await box.run(["network", "set", id, "-", "--dry-run"], { input: suggested.stdout });
  expect(dry.stdout).toMatch(/-\s+allow\[0\]\s+pypi\.org/);
  expect(dry.stdout).toMatch(/narrowed\s+network\.allow\[0\]/);
  const set = await box.run(["network", "set", id, "-"], { input: "allow: [{ host: pypi.org }]\n" });
  expect(set.stdout).toMatch(/-\s+allow\[1\]\s+\*\.example\.org/);
  expect(document(await box.run(["network", "show", id, "--json"]))).toMatchObject({
    revision: 2,
    applied_revision: 2,
    rules: [{ host: "pypi.org" }],
  });
  expect((await box.run(["rm", id])).code).toBe(0);
  expect((await box.run(["network", "show", id])).stdout).toMatch(/state\s+ended/);
});
