import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli, document } from "./cli.ts";

const RULES = `@id("all")
permit (principal, action, resource);

@id("short")
forbid (principal, action == Action::"sandbox.create", resource)
when { context.max_life > 7200 };
`;
const CASES = `
- { name: long, request: { action: sandbox.create, context: { max_life: 7201 } }, expect: deny, rule: short }
- { name: short enough, request: { action: sandbox.create, context: { max_life: 7200 } }, expect: allow }
`;

function rulesIn(data: string, rules = RULES, cases = CASES): string {
  const directory = join(data, "policy");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "base.cedar"), rules);
  writeFileSync(join(directory, "base.test.yaml"), cases);
  return directory;
}

test("a policy is tested, tried on what lives, put in force, shown and taken back, with and without a server", async () => {
  const box = cli();
  const directory = rulesIn(box.data);
  // Without a server, in the command's own process.
  const tested = await box.run(["policy", "test", directory]);
  expect([tested.code, tested.stdout]).toEqual([0, expect.stringMatching(/^long +ok +deny +short/m)]);
  await box.serve();
  const id = (await box.run(["create", "--max-life", "3h"])).stdout.trim();
  const dry = await box.run(["policy", "apply", directory, "--dry-run"]);
  expect(dry.stdout).toMatch(new RegExp(`^${id} +default +default@1 +- +sandbox.create +short$`, "m"));
  expect(dry.stderr).toContain("nothing was changed, version 0 is in force");
  expect(document(await box.run(["policy", "apply", directory, "--comment", "first", "--expect", "0", "--json"]))).toMatchObject({
    version: 1,
  });
  expect((await box.run(["policy", "apply", directory, "--expect", "0"])).stderr).toContain("error[conflict]");
  const refused = await box.run(["create", "--max-life", "3h"]);
  expect([refused.code, refused.stderr]).toEqual([125, expect.stringMatching(/error\[policy_denied\].*"short"/)]);
  expect((await box.run(["create", "--max-life", "2h"])).code).toBe(0);
  const why = await box.run(["policy", "explain", "sandbox.create", "--tenant", "acme", "--context", "max_life=9000"]);
  expect(why.stdout).toMatch(/^deny by short$[\s\S]*^all +permit +matches +base.cedar:1$[\s\S]*^short +forbid +decides +base.cedar:4$/m);
  expect((await box.run(["policy", "explain", "sandbox.crate"])).stderr).toContain('nearest: "sandbox.create"');
  expect((await box.run(["policy", "show"])).stdout).toContain('@id("short")');
  expect((await box.run(["policy", "rollback", "0"])).code).toBe(0);
  expect((await box.run(["policy", "history"])).stdout).toMatch(/^2 \* +0 +\S+ +operator +version 0 +-$\n^1 +2 +\S+ +operator +- +first$/m);
  expect((await box.run(["policy", "apply", "--off"])).stderr).toContain("as before");
});

test("a rule with a fault is refused at its line, a case that fails ends with 1, and neither changes anything", async () => {
  const box = cli();
  const broken = rulesIn(box.data, RULES.replace("max_life", "max_lief"));
  for (const verb of ["check", "test", "apply"]) {
    const ran = await box.run(["policy", verb, broken]);
    expect([ran.code, ran.stderr]).toEqual([125, expect.stringMatching(/base\.cedar:6:8: .*nearest: "max_life"/)]);
  }
  rulesIn(box.data, RULES, CASES.replace("expect: allow", "expect: deny"));
  const failed = await box.run(["policy", "test", broken]);
  expect([failed.code, failed.stdout]).toEqual([1, expect.stringMatching(/^short enough +FAILED +allow +all +expected deny, got allow$/m)]);
  expect(document(await box.run(["policy", "show", "--json"]))).toMatchObject({ version: 0, rules: 0 });
  for (const args of [
    ["check"],
    ["apply"],
    ["apply", "--off", broken],
    ["test", "/nowhere"],
    ["rollback", "x"],
    ["aply"],
    ["test", box.data],
  ])
    expect((await box.run(["policy", ...args])).code, args.join(" ")).toBe(125);
});

test("keys with roles, tenants, projects and quotas are made, listed, changed and removed", async () => {
  const box = cli();
  await box.serve();
  const ran = async (...args: string[]) => {
    const { code, stdout, stderr } = await box.run(args);
    expect([args.join(" "), code, code === 0 ? "" : stderr]).toEqual([args.join(" "), 0, ""]);
    return stdout;
  };
  expect(await ran("tenant", "create", "acme")).toBe("acme\n");
  expect(await ran("project", "create", "web", "--tenant", "acme")).toBe("acme/web\n");
  const made = [
    "keys",
    "create",
    "ci",
    "--tenant",
    "acme",
    "--project",
    "web",
    "--role",
    "agent",
    "--label",
    "reviewed",
    "--expires",
    "1h",
  ];
  expect(await ran(...made)).toMatch(/^sbx_[0-9a-f]{40}\n$/);
  const listed = await ran("keys", "ls");
  const id = /^(ky\w{22}) +ci +acme\/web +agent +read,write +reviewed +never +until \S+$/m.exec(listed)?.[1] ?? "";
  expect(id).not.toBe("");
  expect(await ran("keys", "rotate", id, "--overlap", "5m")).toMatch(/^sbx_/);
  expect(await ran("quota", "set", "project:acme/web", "--concurrent", "2", "--per-minute", "9")).toMatch(
    /^project:acme\/web +0 of 2 +0 of 9 +/m,
  );
  expect(await ran("quota", "ls")).toContain("project:acme/web");
  expect(await ran("project", "ls")).toMatch(/^web +acme +1 +0 /m);
  expect(await ran("tenant", "suspend", "acme")).toBe("acme\n");
  expect(await ran("tenant", "ls")).toMatch(/^acme +1 +0 +\S+ +20\S+ +-$/m);
  await ran("tenant", "resume", "acme");
  expect((await box.run(["project", "rm", "web", "--tenant", "acme"])).stderr).toContain("error[conflict]");
  await ran("keys", "rm", id);
  await ran("quota", "rm", "project:acme/web");
  expect(await ran("project", "rm", "web", "--tenant", "acme")).toBe("web\n");
  expect(await ran("profile", "label", "python", "reviewed", "fast")).toBe("python@1  reviewed, fast\n");
  expect(await ran("profile", "ls")).toMatch(/^python@1 +shipped +\w+ +reviewed,fast /m);
  for (const args of [
    ["quota", "set", "tenant:acme"],
    ["quota", "set", "tenant:acme", "--concurrent", "x"],
    ["tenant", "crete", "x"],
    ["project", "lss"],
    ["keys", "create", "x", "--role", "ci"],
  ])
    expect((await box.run(args)).code, args.join(" ")).toBe(125);
});
