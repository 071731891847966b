import { describe, expect, it } from "vitest";
import { ADMIN, openBench } from "../bench.ts";

const text = `
@id("all") permit (principal, action, resource);
@id("also") permit (principal in Tenant::"acme", action in Action::"make", resource);
@id("long") forbid (principal, action == Action::"sandbox.create", resource) when { context.max_life > 100 };
@id("dear") forbid (principal, action == Action::"sandbox.create", resource) when { context has price_micros_per_hour && context.price_micros_per_hour > 5 };
@id("broken") forbid (principal, action == Action::"exec.run", resource) when { context.program == "x" && 9223372036854775807 + 1 > 0 };
`;
const files = [{ name: "a.cedar", text }];

describe("a question to a policy", () => {
  it("is answered with the rule that decides, and those that would match", async () => {
    await using bench = await openBench();
    const told = await bench.engine.policy.explain(ADMIN, { request: { principal: { tenant: "acme" }, action: "sandbox.create" }, files });
    expect(told).toMatchObject({ decision: "deny", rule: "long" });
    expect(told.rules.map(({ id, verdict }) => [id, verdict])).toEqual([
      ["all", "matches"],
      ["also", "matches"],
      ["long", "decides"],
      ["dear", "does not match"],
      ["broken", "does not match"],
    ]);
    const short = await bench.engine.policy.explain(ADMIN, { request: { action: "sandbox.create", context: { max_life: 60 } }, files });
    expect(short).toMatchObject({ decision: "allow", rule: "all" });
  });

  it("says of a rule that fails that it does, and denies", async () => {
    await using bench = await openBench();
    const told = await bench.engine.policy.explain(ADMIN, { request: { action: "exec.run", context: { program: "x" } }, files });
    expect(told).toMatchObject({ decision: "deny", rule: "broken" });
    expect(told.rules.find(({ id }) => id === "broken")).toMatchObject({
      verdict: "fails",
      error: expect.stringContaining("overflow") as string,
    });
  });

  it("with a name that no rule could ask is refused: a case with a typo would prove nothing", async () => {
    await using bench = await openBench();
    for (const request of [
      { action: "sandbox.create" as const, context: { max_lif: 60 } },
      { action: "sandbox.create" as const, resource: { nmae: "a" } },
      { action: "sandbox.create" as const, context: { max_life: "1h" } },
    ]) {
      await expect(bench.engine.policy.explain(ADMIN, { request, files })).rejects.toMatchObject({ code: "invalid_request" });
      await expect(bench.engine.policy.test(ADMIN, { files, cases: [{ name: "c", request, expect: "deny" }] })).rejects.toMatchObject({
        code: "invalid_request",
      });
    }
  });

  it("without a policy in force is allowed by none", async () => {
    await using bench = await openBench();
    expect(await bench.engine.policy.explain(ADMIN, { request: { action: "exec.run" } })).toEqual({
      object: "policy_explanation",
      decision: "allow",
      rule: null,
      rules: [],
    });
  });

  it("in a test fails the case that expects another decision or another rule", async () => {
    await using bench = await openBench();
    const request = { action: "sandbox.create" as const };
    const report = await bench.engine.policy.test(ADMIN, {
      files,
      cases: [
        { name: "right", request, expect: "deny", rule: "long" },
        { name: "wrong decision", request, expect: "allow" },
        { name: "wrong rule", request, expect: "deny", rule: "dear" },
      ],
    });
    expect(report).toMatchObject({ passed: 1, failed: 2, untested: ["all", "also", "dear", "broken"] });
    expect(report.cases.map(({ problem }) => problem)).toEqual([
      null,
      "expected allow, got deny",
      'expected the rule "dear", and long decides',
    ]);
  });
});
