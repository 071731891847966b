import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ADMIN, OWNER } from "../bench.ts";
import { expectBalanced, HOUR, openPriced, PRICE, USD } from "./money-bench.ts";

const step = fc.oneof(
  fc.record({
    do: fc.constant("create" as const),
    agent: fc.constantFrom("a", "b"),
    fault: fc.constantFrom("none", "rate_limit", "fail", "ambiguous"),
  }),
  fc.record({ do: fc.constant("destroy" as const), which: fc.nat(9) }),
  fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 2_400_000 }) }),
  fc.record({ do: fc.constant("set" as const), ms: fc.integer({ min: -90_000_000, max: 90_000_000 }) }),
  fc.record({ do: fc.constant("lose" as const), which: fc.nat(9) }),
  fc.record({ do: fc.constant("sweep" as const) }),
  fc.record({ do: fc.constant("credit" as const), amount: fc.integer({ min: 1, max: 3 * USD }) }),
);

describe("double entry", () => {
  it("balances after whatever happens, and no hard budget and no credits are ever overdrawn", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        await using bench = await openPriced({
          fakes: { one: {}, two: {} },
          prices: { one: PRICE, two: { ...PRICE, vcpu_hour: 1.7, granularity_s: 60 } },
        });
        const { engine } = bench;
        await engine.accounts.set(ADMIN, "c", { kind: "credits" });
        await engine.accounts.setRoute(ADMIN, { tenant: "acme", backend: "*", accounts: ["c", "default"] });
        await engine.accounts.setConsent(OWNER, { fallback: true });
        await engine.budgets.set(ADMIN, "all", { tenant: "acme", limit_micro_usd: 6 * USD });
        await engine.budgets.set(ADMIN, "a", {
          tenant: "acme",
          scope: "agent",
          subject: "a",
          limit_micro_usd: 3 * USD,
          period: "day",
          hard: false,
          on_exhausted: "terminate",
        });
        const ids: string[] = [];
        for (const [index, one] of steps.entries()) {
          if (one.do === "create") {
            if (one.fault !== "none") bench.control("one").addFault({ on: "create", kind: one.fault, times: 1 });
            const made = await engine.create(OWNER, { ...HOUR, metadata: { agent: one.agent } }, {}).catch(() => undefined);
            if (made !== undefined) ids.push(made.sandbox.id);
          } else if (one.do === "destroy" || one.do === "lose") {
            const id = ids[one.which % Math.max(1, ids.length)];
            if (id !== undefined && one.do === "destroy") await engine.destroy(OWNER, id);
            else if (id !== undefined) for (const name of ["one", "two"]) bench.control(name).lose(id);
          } else if (one.do === "pass") bench.clock.pass(one.ms);
          else if (one.do === "set") bench.clock.set(one.ms);
          else if (one.do === "sweep") await engine.sweep();
          else await engine.accounts.enter(ADMIN, "c", { id: String(index), kind: "credit", amount_micro_usd: one.amount });
          await expectBalanced(bench);
          expect((await engine.budgets.get(OWNER, "all")).current.left_micro_usd).toBeGreaterThanOrEqual(0);
          expect((await engine.accounts.get(ADMIN, "c")).left_micro_usd).toBeGreaterThanOrEqual(0);
        }
        for (const id of ids) await engine.destroy(OWNER, id);
        await engine.sweep();
        expect((await engine.accounts.list(ADMIN)).map(({ reserved_micro_usd }) => reserved_micro_usd)).toEqual([0, 0]);
        await expectBalanced(bench);
      }),
      { numRuns: 15 },
    );
  });
});
