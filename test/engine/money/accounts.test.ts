import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { ADMIN, OWNER, STRANGER } from "../bench.ts";
import { expectBalanced, HOUR, openPriced, USD } from "./money-bench.ts";

describe("who pays", () => {
  it("is the first account of the tenant's route that has enough; a further one only where the tenant allows it", async () => {
    await using bench = await openPriced();
    const { accounts } = bench.engine;
    await accounts.set(ADMIN, "own", { kind: "credits", tenant: "acme" });
    await accounts.set(ADMIN, "platform", { kind: "byok", limit_micro_usd: 10 * USD });
    await accounts.setRoute(ADMIN, { tenant: "acme", backend: "*", accounts: ["own", "platform"] });
    await expect(bench.engine.create(OWNER, HOUR, {})).rejects.toMatchObject({
      code: "account_exhausted",
      message: expect.stringMatching(
        /own has \$0\.00 left, and this can cost \$1\.00; platform was not asked: tenant acme does not allow fallback/,
      ),
    });
    expect(await accounts.enter(ADMIN, "own", { id: "i-1", kind: "credit", amount_micro_usd: USD })).toMatchObject({ left_micro_usd: USD });
    expect((await bench.engine.create(OWNER, HOUR, {})).sandbox.cost).toMatchObject({ account: "own" });
    await accounts.setConsent(OWNER, { fallback: true });
    expect((await bench.engine.create(OWNER, HOUR, {})).sandbox.cost).toMatchObject({ account: "platform" });
    expect(await accounts.get(ADMIN, "platform")).toMatchObject({ reserved_micro_usd: USD, left_micro_usd: 9 * USD });
    expect((await bench.engine.create(STRANGER, HOUR, {})).sandbox.cost).toMatchObject({ account: "default" });
    await expectBalanced(bench);
  });

  it("is asked by the closest route, and an account for others or other backends is passed over by name", async () => {
    await using bench = await openPriced();
    const { accounts } = bench.engine;
    await accounts.set(ADMIN, "theirs", { kind: "byok", tenant: "other" });
    await accounts.set(ADMIN, "far", { kind: "byok", backends: ["elsewhere"] });
    await accounts.setRoute(ADMIN, { tenant: "acme", backend: "fake", accounts: ["theirs", "far"] });
    await accounts.setConsent(OWNER, { fallback: true });
    await expect(bench.engine.create(OWNER, HOUR, {})).rejects.toThrow(/theirs pays for tenant other only; far pays for elsewhere only/);
    await accounts.setRoute(ADMIN, { tenant: "acme", backend: "fake", accounts: [] });
    expect((await bench.engine.create(OWNER, HOUR, {})).sandbox.cost).toMatchObject({ account: "default" });
    await accounts.remove(ADMIN, "far");
    const { rows } = await sql<{ action: string; target: string }>`select action, target from audit_log order by seq`.execute(
      bench.ledger.db,
    );
    expect(rows.map(({ action, target }) => `${action} ${target}`)).toEqual([
      "account.set theirs", "account.set far", "payment_route.set acme/fake", "payment_consent.set acme", "payment_route.set acme/fake", "account.removed far",
    ]); // prettier-ignore
    await expectBalanced(bench);
  });

  it("has entries that are made once for each id, and are only ever added to", async () => {
    await using bench = await openPriced();
    const { accounts } = bench.engine;
    await accounts.set(ADMIN, "c", { kind: "credits" });
    const credit = { id: "i-1", kind: "credit", amount_micro_usd: 5 * USD } as const;
    await accounts.enter(ADMIN, "c", credit);
    expect(await accounts.enter(ADMIN, "c", credit)).toMatchObject({ funded_micro_usd: 5 * USD });
    await expect(accounts.enter(ADMIN, "c", { ...credit, amount_micro_usd: 6 * USD })).rejects.toMatchObject({ code: "conflict" });
    expect(await accounts.enter(ADMIN, "c", { id: "fix", kind: "adjust", amount_micro_usd: -USD, note: "twice" })).toMatchObject({
      left_micro_usd: 4 * USD,
    });
    expect((await accounts.entries(ADMIN, "c", { limit: 9 })).map(({ kind }) => kind).sort()).toEqual(["adjust", "credit"]);
    await expect(accounts.get(OWNER, "c")).rejects.toMatchObject({ code: "account_not_found" });
    await expectBalanced(bench);
  });
});

describe("the audit", () => {
  it("finds a balance, a posting, a reservation and a day that somebody has changed", async () => {
    await using bench = await openPriced();
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    bench.clock.pass(60_000);
    await bench.engine.destroy(OWNER, sandbox.id);
    await bench.engine.create(OWNER, HOUR, {});
    await expectBalanced(bench);
    const broken = async (...statements: string[]): Promise<string[]> => {
      for (const statement of statements) await sql.raw(statement).execute(bench.ledger.db);
      return (await bench.engine.money.audit(ADMIN)).findings.map(({ check }) => check);
    };
    expect(await broken("update usage_days set cost = cost + 1")).toEqual(["the days add up to the settled stays"]);
    expect(
      await broken(
        "update usage_days set cost = cost - 1",
        "update money_balances set balance = balance + 1 where account = 'held/default'",
      ),
    ).toContain("every balance is the sum of its postings");
    expect(await broken("update money_postings set amount = amount + 1 where account = 'held/default'")).toContain(
      "every entry has at least two postings and adds up to 0",
    );
    expect(await broken("update accounts set reserved = reserved + 7")).toContain(
      "every account has reserved and spent what its stays have, and holds what the journal says",
    );
    expect(await broken("update sandboxes set ended_at = 1 where ended_at is null")).toContain(
      "nothing is reserved for a sandbox that has ended",
    );
  });
});
