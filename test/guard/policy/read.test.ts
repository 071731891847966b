import { describe, expect, it } from "vitest";
import { type Issue, SandboxerError } from "../../../src/contract/index.ts";
import { readRules } from "../../../src/guard/index.ts";

async function issuesOf(text: string, name = "rules.cedar"): Promise<Issue[]> {
  const thrown = await readRules([{ name, text }]).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof SandboxerError)) throw new Error("the rules were taken");
  expect(thrown.code).toBe("invalid_request");
  return thrown.details.issues ?? [];
}

describe("rules as they are read", () => {
  it("have an id, an effect and the line they begin at, over several files", async () => {
    const { rules, digest } = await readRules([
      { name: "a.cedar", text: '// first\n@id("one")\npermit (principal, action, resource);\n' },
      { name: "b.cedar", text: '@id("two") forbid (principal, action == Action::"exec.run", resource) when { context.shell };' },
    ]);
    expect(rules).toEqual([
      { id: "one", effect: "permit", file: "a.cedar", line: 2 },
      { id: "two", effect: "forbid", file: "b.cedar", line: 1 },
    ]);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it("keep their places where there are more than ten, and where letters take several bytes", async () => {
    const text = Array.from({ length: 12 }, (_, i) => `// Größe ${i} ≤ 12\n@id("r${i}") permit (principal, action, resource);`).join("\n");
    const { rules } = await readRules([{ name: "a.cedar", text }]);
    expect(rules.map(({ id, line }) => [id, line]).sort((a, b) => Number(a[1]) - Number(b[1]))).toEqual(
      Array.from({ length: 12 }, (_, i) => [`r${i}`, i * 2 + 2]),
    );
  });

  it.each([
    [
      "an attribute of the request",
      '\n@id("x")\nforbid (principal, action == Action::"sandbox.create", resource)\nwhen { context.max_lif > 5 };',
      "rules.cedar:4:8",
      "max_life",
    ],
    [
      "an attribute of the thing",
      '@id("x") forbid (principal, action == Action::"sandbox.create", resource) when { resource.nmae == "a" };',
      "rules.cedar:1:82",
      "name",
    ],
    [
      "a level",
      '@id("x") forbid (principal, action == Action::"sandbox.create", resource) unless { context.isolation_at_least.gvisr };',
      "rules.cedar:1:84",
      "gvisor",
    ],
    ["an action", '@id("x") forbid (principal, action == Action::"sandbox.crate", resource);', "rules.cedar:1:39", "sandbox.create"],
    ["a kind of thing", '@id("x") forbid (principal, action, resource is Sandbix);', "rules.cedar:1:49", "Sandbox"],
  ])("with a typo in %s are refused at its place with the name that was meant", async (_, text, path, nearest) => {
    expect(await issuesOf(text)).toContainEqual(expect.objectContaining({ path, nearest }));
  });

  it.each([
    ["no id", "permit (principal, action, resource);", "rules.cedar:1:1"],
    ["an id twice", '@id("a") permit (principal, action, resource);\n@id("a") forbid (principal, action, resource);', "rules.cedar:2:1"],
    ["the id that stands for no rule", '@id("default-deny") permit (principal, action, resource);', "rules.cedar:1:1"],
    ["a slot", '@id("a") permit (principal == ?principal, action, resource);', "rules.cedar:1:1"],
    [
      "a value of the wrong type",
      '@id("a") forbid (principal, action == Action::"sandbox.create", resource) when { context.max_life > "4h" };',
      "rules.cedar:1:101",
    ],
    ["half a rule", '@id("a")\npermit (principal', "rules.cedar:2:18"],
  ])("with %s are refused at their place", async (_, text, path) => {
    expect((await issuesOf(text)).map((issue) => issue.path)).toContain(path);
  });

  it("that can never apply are told of, and taken", async () => {
    const { warnings } = await readRules([
      {
        name: "a.cedar",
        text: '@id("x") forbid (principal, action == Action::"exec.run", resource) when { context.program == "a" && context.program == "b" && false };',
      },
    ]);
    expect(warnings).toMatchObject([{ rule: "x", file: "a.cedar", line: 1 }]);
  });
});
