import { describe, expect, it } from "vitest";
import { type Ask, atLeast, egressFacts, preparePolicy, readRules } from "../../../src/guard/index.ts";

const read = async (text: string) => readRules([{ name: "a.cedar", text }]);
const set = (...names: string[]) => new Set(names);

const ASK: Ask = {
  who: { tenant: "acme", key_id: "ky1", scopes: ["read"], role: "ci", labels: ["reviewed"] },
  action: "sandbox.create",
  resource: { type: "Profile", id: "p", attributes: { name: "prod-a", version: 3, labels: ["x"], shipped: false }, tenant: "acme" },
  context: {
    isolation: "gvisor", isolation_at_least: atLeast("gvisor"), cpu_milli: 1000, memory_mib: 512, disk_mib: 2048, pids: 64, ttl: 60, max_life: 120, image: "host", workspace: "isolated",
    egress: egressFacts(null), ports: [], public_ports: [], secrets: [], setup: false, backends: [], metadata: ["team=web"],
  },
}; // prettier-ignore

describe("what rules look at", () => {
  it("is what they name, of the request, of who asks and of the thing", async () => {
    const { uses } = await read(
      `
      @id("a") permit (principal, action, resource) when { context has max_life && context.max_life > 5 };
      @id("b") forbid (principal, action == Action::"sandbox.create", resource)
        when { context.egress.raw_ips && principal.labels.contains("x") } unless { resource.name like "p*" };`.replace(
        '@id("a") permit (principal, action, resource)',
        '@id("a") permit (principal, action == Action::"sandbox.create", resource)',
      ),
    );
    expect(uses).toEqual({
      context: set("max_life", "egress"),
      principal: set("labels"),
      resource: set("name"),
      tags: false,
      groups: false,
    });
  });

  it("is a sandbox's metadata and the groups of actions only where a rule has them", async () => {
    const tagged = await read(
      '@id("a") permit (principal, action == Action::"exec.run", resource) when { resource.hasTag("t") && resource.getTag("t") == "1" };',
    );
    expect(tagged.uses).toMatchObject({ tags: true, groups: false });
    expect((await read('@id("a") permit (principal, action in Action::"see", resource);')).uses).toMatchObject({
      tags: false,
      groups: true,
    });
    expect((await read('@id("a") permit (principal, action, resource) when { action in Action::"see" };')).uses.groups).toBe(true);
  });

  it("leaves every answer as it is with all that is known, whatever a rule asks", async () => {
    const conditions = [
      "context.max_life > 100", "context.max_life > 200", "context.egress.raw_ips", "context.egress == context.egress", "context == context",
      'principal.role == "ci"', 'principal in Tenant::"acme"', 'principal.labels.contains("reviewed")', 'resource.name like "prod-*"', "resource.labels.isEmpty()",
      'action in Action::"make"', 'context has idle', '!(context has idle) && context.isolation_at_least.gvisor', 'context.metadata.contains("team=web")',
      "if context.setup then context.ttl > 5 else context.pids == 64", "[context.ttl, 1].contains(60)", "{a: context.ttl}.a == 60",
      'resource in Tenant::"acme"', 'resource == Profile::"p"', "principal is Key",
    ]; // prettier-ignore
    for (const condition of conditions) {
      const rules = await read(`@id("a") permit (principal, action == Action::"sandbox.create", resource) when { ${condition} };`);
      const policy = await preparePolicy(rules);
      // Explaining hands over everything, and deciding only what is looked at.
      expect([condition, policy.decide(ASK).allowed ? "allow" : "deny"]).toEqual([condition, policy.explain(ASK).decision]);
    }
  });

  it("keeps apart two who ask alike but for what is looked at", async () => {
    const policy = await preparePolicy(
      await read(
        '@id("a") permit (principal, action == Action::"sandbox.create", resource) when { context.max_life < 100 || principal.role == "ops" };',
      ),
    );
    const asked = (max_life: number, role: string) =>
      policy.decide({ ...ASK, who: { tenant: "acme", key_id: "ky1", scopes: [], role }, context: { ...ASK.context, max_life } }).allowed;
    expect([asked(50, "ci"), asked(500, "ci"), asked(500, "ops"), asked(50, "ci"), asked(500, "ci")]).toEqual([
      true,
      false,
      true,
      true,
      false,
    ]);
  });
});
