import { describe, expect, it } from "vitest";
import type { PolicyFile, Price, Principal } from "../../../src/contract/index.ts";
import type { Engine } from "../../../src/engine/index.ts";
import { ADMIN, openBench, OWNER, run } from "../bench.ts";

export const ALLOW = '@id("all")\npermit (principal, action, resource);\n';
export const file = (text: string, name = "rules.cedar"): PolicyFile => ({ name, text });
const apply = (engine: Engine, text: string, more = {}) => engine.policy.apply(ADMIN, { files: [file(text)], ...more });
const AGENT: Principal = { tenant: "acme", key_id: "ky1", scopes: ["read", "write"], role: "agent" };

describe("a policy in force", () => {
  it("denies what no rule permits, and names that reason", async () => {
    await using bench = await openBench();
    await apply(bench.engine, '@id("see")\npermit (principal, action in Action::"see", resource);');
    await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "policy_denied", details: { rule: "default-deny" } });
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toEqual([]);
  });

  it("lets a rule that forbids win, and writes down who was denied what by which", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await apply(bench.engine, `${ALLOW}@id("no-shell") forbid (principal, action == Action::"exec.run", resource) when { context.shell };`);
    await expect(run(bench.engine, OWNER, sandbox.id, "true")).rejects.toMatchObject({
      code: "policy_denied",
      details: { rule: "no-shell" },
    });
    const { data } = await bench.engine.events.list(ADMIN, { sandboxId: sandbox.id, limit: 100 });
    expect(data.filter(({ type }) => type === "policy.denied")).toMatchObject([
      { tenant: "acme", data: { action: "exec.run", rule: "no-shell", resource: { type: "Sandbox", id: sandbox.id } } },
    ]);
    const { events } = await bench.engine.exec(OWNER, sandbox.id, { argv: ["true"], stdin: { kind: "none" }, maxOutputBytes: 10 });
    for await (const event of events) expect(event.type).not.toBe("stderr");
  });

  it("holds from the next request on for every process over the ledger, and is taken back the same way", async () => {
    await using bench = await openBench();
    const second = await bench.second();
    await second.create(OWNER, {}, {});
    const first = await apply(bench.engine, '@id("nothing") forbid (principal, action, resource);');
    await expect(second.create(OWNER, {}, {})).rejects.toMatchObject({ details: { rule: "nothing" } });
    await apply(bench.engine, ALLOW);
    await second.create(OWNER, {}, {});
    expect(await second.policy.rollback(ADMIN, first.version)).toMatchObject({ version: 3, changed: true });
    await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ details: { rule: "nothing" } });
    await second.policy.apply(ADMIN, { files: [] });
    await bench.engine.create(OWNER, {}, {});
    expect(
      (await bench.engine.policy.history(ADMIN)).map(({ version, rules, rolled_back_to, in_force }) => [
        version,
        rules,
        rolled_back_to,
        in_force,
      ]),
    ).toEqual([
      [4, 0, null, true],
      [3, 1, 1, false],
      [2, 1, null, false],
      [1, 1, null, false],
    ]);
  });

  it("is not replaced by one with a fault in it", async () => {
    await using bench = await openBench();
    await apply(bench.engine, '@id("nothing") forbid (principal, action, resource);');
    await expect(apply(bench.engine, `${ALLOW} permit (`)).rejects.toMatchObject({ code: "invalid_request" });
    await expect(apply(bench.engine, "// no rule at all")).rejects.toMatchObject({ code: "invalid_request" });
    expect(await bench.engine.policy.show(ADMIN)).toMatchObject({ version: 1, rules: 1 });
    await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ details: { rule: "nothing" } });
  });

  it("is applied by one of two who both followed the same version", async () => {
    await using bench = await openBench();
    const second = await bench.second();
    const both = await Promise.allSettled([
      apply(bench.engine, ALLOW, { expected_version: 0 }),
      apply(second, '@id("other") permit (principal, action, resource);', { expected_version: 0 }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(both.find((one) => one.status === "rejected")?.reason).toMatchObject({ code: "conflict" });
    expect((await bench.engine.policy.show(ADMIN)).version).toBe(1);
  });

  it("of twenty applied at once keeps every one as a version", async () => {
    await using bench = await openBench();
    const second = await bench.second();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        apply(i % 2 === 0 ? bench.engine : second, `@id("r${i}") permit (principal, action, resource);`),
      ),
    );
    expect((await bench.engine.policy.history(ADMIN)).map(({ version }) => version)).toEqual(Array.from({ length: 20 }, (_, i) => 20 - i));
  });

  it("that cannot be read lets nothing through, and the operator on the machine can replace it", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await apply(bench.engine, ALLOW);
    for (const files of ["not json", JSON.stringify([file("permit (")]), JSON.stringify([file(`${ALLOW}// changed behind its back`)])]) {
      await bench.ledger.db.updateTable("policies").set({ files }).execute();
      const second = await bench.second();
      await expect(second.get(OWNER, sandbox.id)).rejects.toMatchObject({ code: "policy_unavailable" });
      await expect(second.create(OWNER, {}, {})).rejects.toMatchObject({ code: "policy_unavailable" });
      await expect(second.policy.show({ ...ADMIN, key_id: "ky1" })).rejects.toMatchObject({ code: "policy_unavailable" });
    }
    const second = await bench.second();
    await second.policy.apply(ADMIN, { files: [file('@id("new") permit (principal, action, resource);')] });
    expect((await second.get(OWNER, sandbox.id)).id).toBe(sandbox.id);
  });

  it("with a rule that cannot be evaluated lets nothing through that it might forbid, and names it", async () => {
    await using bench = await openBench();
    await apply(
      bench.engine,
      `${ALLOW}@id("overflow") forbid (principal, action == Action::"sandbox.create", resource) when { context.max_life + 9223372036854775807 > 0 };`,
    );
    await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "policy_unavailable", details: { rule: "overflow" } });
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toEqual([]);
  });

  it("cannot lock the operator on the machine out of itself, while everything else of theirs is asked", async () => {
    await using bench = await openBench();
    await apply(bench.engine, '@id("nobody") forbid (principal, action, resource);');
    await expect(bench.engine.keys.list(ADMIN)).rejects.toMatchObject({ code: "policy_denied" });
    await expect(bench.engine.policy.apply({ ...ADMIN, key_id: "ky1" }, { files: [] })).rejects.toMatchObject({ code: "policy_denied" });
    await bench.engine.policy.apply(ADMIN, { files: [] });
    expect(await bench.engine.keys.list(ADMIN)).toEqual([]);
  });

  it("says in a dry run which live sandboxes it would refuse, and changes nothing", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(AGENT, { max_life: "6h" }, {});
    const { sandbox: short } = await bench.engine.create(AGENT, { max_life: "1h" }, {});
    const text = `${ALLOW}@id("short") forbid (principal, action == Action::"sandbox.create", resource) when { context.max_life > 14400 };`;
    const dry = await apply(bench.engine, text, { dry_run: true });
    expect(dry).toMatchObject({ dry_run: true, version: 0, changed: true });
    expect(dry.refuses).toEqual([
      {
        sandbox_id: sandbox.id,
        tenant: "acme",
        profile: expect.stringMatching(/^default@/) as string,
        key_id: "ky1",
        action: "sandbox.create",
        rule: "short",
      },
    ]);
    expect((await bench.engine.policy.show(ADMIN)).version).toBe(0);
    expect((await apply(bench.engine, text)).refuses.map(({ sandbox_id }) => sandbox_id)).not.toContain(short.id);
    expect((await bench.engine.get(AGENT, sandbox.id)).state).toBe("ready");
  });

  it("tells an event of a kind once a second, with how many were not told", async () => {
    await using bench = await openBench();
    await apply(bench.engine, '@id("nothing") forbid (principal, action, resource);');
    for (let i = 0; i < 5; i++) await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "policy_denied" });
    bench.clock.pass(1500);
    await expect(bench.engine.create(OWNER, {}, {})).rejects.toMatchObject({ code: "policy_denied" });
    await bench.engine.policy.apply(ADMIN, { files: [] });
    const told = (await bench.engine.events.list(ADMIN, { limit: 100 })).data.filter(({ type }) => type === "policy.denied");
    expect(told.map(({ data }) => data["untold"])).toEqual([0, 4]);
  });

  it("asks what the dearest backend costs that may be tried, and of an unknown price whether it is known", async () => {
    const price = (usd: number): Price => ({
      vcpu_hour: usd,
      gb_hour: 0,
      cpu_basis: "allocated",
      effective: "2026",
      source: "test",
      confidence: "high",
    });
    const known: Record<string, Price> = { cheap: price(0.1), dear: price(0.4) };
    await using bench = await openBench({
      fakes: { cheap: {}, dear: {}, unknown: {} },
      engine: { prices: { of: (name) => known[name] ?? null } },
    });
    await apply(
      bench.engine,
      `${ALLOW}@id("unpriced") forbid (principal, action == Action::"sandbox.create", resource) unless { context has price_micros_per_hour };
       @id("dear") forbid (principal, action == Action::"sandbox.create", resource) when { context has price_micros_per_hour && context.price_micros_per_hour > 200000 };`,
    );
    const create = (only: string[]) => bench.engine.create(OWNER, { routing: { only } }, {});
    await create(["cheap"]);
    await expect(create(["cheap", "dear"])).rejects.toMatchObject({ details: { rule: "dear" } });
    await expect(create(["cheap", "unknown"])).rejects.toMatchObject({ details: { rule: "unpriced" } });
  });
});
