import { describe, expect, it } from "vitest";
import { ADMIN, type Bench, OWNER } from "../bench.ts";
import { expectBalanced, HOUR, openPriced, PRICE, USD } from "./money-bench.ts";

const types = async (bench: Bench): Promise<string[]> =>
  (await bench.engine.events.list(ADMIN, { limit: 1000 })).data.map(({ type }) => type).filter((type) => type.startsWith("budget."));

describe("a budget", () => {
  it("lets exactly five of a hundred parallel creates through, over two engines on one ledger", async () => {
    await using bench = await openPriced();
    const second = await bench.second({ prices: { of: () => PRICE } });
    await bench.engine.budgets.set(ADMIN, "five", { tenant: "acme", limit_micro_usd: 5 * USD });
    const asked = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? bench.engine : second).create(OWNER, HOUR, {}));
    const answers = await Promise.allSettled(asked);
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
    const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as { code: string; message: string }] : []));
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["budget_exceeded"]));
    expect(refused[0]?.message).toMatch(
      /budget "five" \(tenant acme, total\) of \$5\.00 has \$0\.00 spent and \$5\.00 reserved; .* \$1\.00/,
    );
    expect(bench.control().ids()).toHaveLength(5);
    await expectBalanced(bench);
  });

  it("has room again for what a sandbox did not use, warns once and tells once that it is spent", async () => {
    await using bench = await openPriced();
    await bench.engine.budgets.set(ADMIN, "one", { tenant: "acme", limit_micro_usd: USD });
    const first = (await bench.engine.create(OWNER, HOUR, {})).sandbox;
    await expect(bench.engine.create(OWNER, HOUR, {})).rejects.toMatchObject({ code: "budget_exceeded" });
    bench.clock.pass(1_800_000);
    await bench.engine.destroy(OWNER, first.id);
    expect((await bench.engine.budgets.get(OWNER, "one")).current).toMatchObject({ spent_micro_usd: USD / 2, reserved_micro_usd: 0 });
    const half = (await bench.engine.create(OWNER, { ...HOUR, ttl: "30m", max_life: "30m" }, {})).sandbox;
    bench.clock.pass(1_800_000);
    await bench.engine.sweep();
    expect((await bench.engine.get(OWNER, half.id)).termination).toMatchObject({ reason: "expired" });
    expect(await types(bench)).toEqual(["budget.set", "budget.warned", "budget.exhausted"]);
    await expectBalanced(bench);
  });

  it("of a key, an agent or a profile counts that alone", async () => {
    await using bench = await openPriced();
    const keyed = { ...OWNER, key_id: "ky1" };
    await bench.engine.budgets.set(ADMIN, "key", { tenant: "acme", scope: "key", subject: "ky1", limit_micro_usd: USD });
    await bench.engine.budgets.set(ADMIN, "agent", { tenant: "acme", scope: "agent", subject: "a", limit_micro_usd: 0 });
    await bench.engine.budgets.set(ADMIN, "python", { tenant: "acme", scope: "profile", subject: "python", limit_micro_usd: 0 });
    await bench.engine.create(keyed, HOUR, {});
    await expect(bench.engine.create(keyed, HOUR, {})).rejects.toThrow(/budget "key" \(key ky1/);
    await expect(bench.engine.create(OWNER, { ...HOUR, metadata: { agent: "a" } }, {})).rejects.toThrow(/budget "agent" \(agent a/);
    await expect(bench.engine.create(OWNER, { ...HOUR, profile: "python" }, {})).rejects.toThrow(/budget "python" \(profile python/);
    await bench.engine.create(OWNER, { ...HOUR, metadata: { agent: "b" } }, {});
    await expectBalanced(bench);
  });

  it("by the day begins anew with the day", async () => {
    await using bench = await openPriced();
    await bench.engine.budgets.set(ADMIN, "daily", { tenant: "acme", limit_micro_usd: USD, period: "day" });
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    await bench.engine.destroy(OWNER, sandbox.id);
    bench.clock.pass(86_400_000);
    await bench.engine.create(OWNER, HOUR, {});
    expect((await bench.engine.budgets.get(OWNER, "daily")).current).toMatchObject({ spent_micro_usd: 0, reserved_micro_usd: USD });
    await expectBalanced(bench);
  });

  it("that is spent ends what runs, with reason budget, where it says so; a soft one refuses nothing", async () => {
    await using bench = await openPriced();
    await bench.engine.budgets.set(ADMIN, "kill", { tenant: "acme", limit_micro_usd: USD / 2, hard: false, on_exhausted: "terminate" });
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    bench.clock.pass(1_000_000);
    await bench.engine.sweep();
    expect((await bench.engine.get(OWNER, sandbox.id)).state).toBe("ready");
    bench.clock.pass(1_000_000);
    expect((await bench.engine.sweep()).ended).toEqual([{ id: sandbox.id, reason: "budget" }]);
    expect((await bench.engine.get(OWNER, sandbox.id)).termination).toMatchObject({
      reason: "budget",
      detail: expect.stringContaining('budget "kill" (total) of $0.50'),
    });
    await expectBalanced(bench);
  });

  it("that is hard refuses what has no price, and pausing is refused by name", async () => {
    await using bench = await openPriced({ prices: {} });
    await bench.engine.budgets.set(ADMIN, "hard", { tenant: "acme", limit_micro_usd: 100 * USD });
    await expect(bench.engine.create(OWNER, HOUR, {})).rejects.toThrow(/is hard, and the most that this can cost is not known/);
    await expect(bench.engine.budgets.set(ADMIN, "p", { limit_micro_usd: 1, on_exhausted: "pause" })).rejects.toMatchObject({
      code: "capability_unsupported",
      message: expect.stringContaining("on_exhausted: pause"),
    });
  });

  it("that is made later counts what runs already", async () => {
    await using bench = await openPriced();
    await bench.engine.create(OWNER, HOUR, {});
    const budget = await bench.engine.budgets.set(ADMIN, "late", { tenant: "acme", limit_micro_usd: USD });
    expect(budget.current).toMatchObject({ reserved_micro_usd: USD, left_micro_usd: 0 });
    await expect(bench.engine.create(OWNER, HOUR, {})).rejects.toMatchObject({ code: "budget_exceeded" });
    await expectBalanced(bench);
  });

  it("is set by an admin alone, and seen by its tenant", async () => {
    await using bench = await openPriced();
    await expect(bench.engine.budgets.set(OWNER, "own", { limit_micro_usd: 1 })).rejects.toMatchObject({ code: "forbidden" });
    await expect(bench.engine.budgets.get(OWNER, "x", "other")).rejects.toMatchObject({ code: "forbidden" });
    await expect(bench.engine.budgets.get(OWNER, "x")).rejects.toMatchObject({ code: "budget_not_found" });
  });
});
