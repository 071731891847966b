import { describe, expect, it } from "vitest";
import { ADMIN, OWNER } from "../bench.ts";
import { expectBalanced, HOUR, openPriced, PRICE, USD } from "./money-bench.ts";

describe("the cost of a sandbox", () => {
  it("is reserved whole at its create, shown while it runs, and settled by the time it was there", async () => {
    await using bench = await openPriced();
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    expect(sandbox.cost).toMatchObject({ largest_micro_usd: USD, micro_usd_per_hour: USD, settled: false, account: "default" });
    expect(await bench.engine.accounts.get(ADMIN, "default")).toMatchObject({ reserved_micro_usd: USD, spent_micro_usd: 0 });
    bench.clock.pass(900_000);
    expect((await bench.engine.get(OWNER, sandbox.id)).cost).toMatchObject({ so_far_micro_usd: USD / 4, settled: false });
    const ended = await bench.engine.destroy(OWNER, sandbox.id);
    expect(ended.cost).toMatchObject({ so_far_micro_usd: USD / 4, settled: true });
    expect(await bench.engine.accounts.get(ADMIN, "default")).toMatchObject({ reserved_micro_usd: 0, spent_micro_usd: USD / 4 });
    const entries = await bench.engine.accounts.entries(ADMIN, "default", { limit: 10 });
    expect(entries.map(({ kind }) => kind).sort()).toEqual(["reserve", "settle"]);
    await expectBalanced(bench);
  });

  it("follows elapsed time when the wall clock is set, and never goes beyond what was reserved", async () => {
    await using bench = await openPriced();
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    bench.clock.pass(60_000);
    bench.clock.set(86_400_000);
    await bench.engine.sweep();
    bench.clock.pass(60_000);
    bench.clock.set(-2 * 86_400_000);
    await bench.engine.sweep();
    expect((await bench.engine.destroy(OWNER, sandbox.id)).cost).toMatchObject({ so_far_micro_usd: Math.ceil(USD / 30), settled: true });
    const late = (await bench.engine.create(OWNER, HOUR, {})).sandbox;
    bench.clock.pass(5 * 3_600_000);
    await bench.engine.sweep();
    expect((await bench.engine.get(OWNER, late.id)).cost).toMatchObject({ so_far_micro_usd: USD, largest_micro_usd: USD, settled: true });
    await expectBalanced(bench);
  });

  it("is unknown, with the reason, where nobody has said what the backend costs", async () => {
    await using bench = await openPriced({ prices: {} });
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    expect(sandbox.cost).toMatchObject({
      so_far_micro_usd: null,
      largest_micro_usd: null,
      unknown_because: expect.stringContaining("fake"),
    });
    expect((await bench.engine.destroy(OWNER, sandbox.id)).cost).toMatchObject({ so_far_micro_usd: null, settled: true });
    expect((await bench.engine.money.usage(OWNER, {})).total).toMatchObject({ stays: 1, unpriced: 1, cost_micro_usd: 0 });
    await expectBalanced(bench);
  });

  it("is reserved anew at the backend that is fallen back to, and the first stay is settled", async () => {
    await using bench = await openPriced({ fakes: { one: {}, two: {} }, prices: { one: PRICE, two: { ...PRICE, vcpu_hour: 3 } } });
    bench.control("one").addFault({ on: "create", kind: "rate_limit" });
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    expect(sandbox).toMatchObject({ backend: "two", cost: { largest_micro_usd: 3 * USD } });
    expect(await bench.engine.accounts.get(ADMIN, "default")).toMatchObject({ reserved_micro_usd: 3 * USD, spent_micro_usd: 0 });
    expect(await bench.engine.money.audit(ADMIN)).toMatchObject({ balanced: true, settled: 1, open: 1 });
    await bench.engine.destroy(OWNER, sandbox.id);
    await expectBalanced(bench);
  });

  it("refuses the fallback that nobody pays for, and leaves nothing reserved", async () => {
    await using bench = await openPriced({ fakes: { one: {}, two: {} }, prices: { one: PRICE, two: { ...PRICE, vcpu_hour: 3 } } });
    await bench.engine.budgets.set(ADMIN, "small", { tenant: "acme", limit_micro_usd: 2 * USD });
    bench.control("one").addFault({ on: "create", kind: "rate_limit" });
    await expect(bench.engine.create(OWNER, HOUR, {})).rejects.toMatchObject({ code: "budget_exceeded" });
    expect((await bench.engine.list(OWNER, { limit: 5 })).data).toMatchObject([{ state: "failed", error: { code: "budget_exceeded" } }]);
    expect(await bench.engine.budgets.get(ADMIN, "small", "acme")).toMatchObject({
      current: { reserved_micro_usd: 0, left_micro_usd: 2 * USD },
    });
    expect(bench.control("two").ids()).toEqual([]);
    await expectBalanced(bench);
  });

  it("is marked unconfirmed where the backend lost it", async () => {
    await using bench = await openPriced();
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    bench.clock.pass(10_000);
    bench.control().lose(sandbox.id);
    await bench.engine.sweep();
    expect((await bench.engine.money.usage(OWNER, { by: ["backend"] })).data).toMatchObject([{ backend: "fake", unconfirmed: 1 }]);
    await expectBalanced(bench);
  });
});
