import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { ADMIN, type Bench, OWNER } from "../bench.ts";
import { HOUR, openPriced, PRICE } from "./money-bench.ts";

async function stays(bench: Bench, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index++) {
    const { sandbox } = await bench.engine.create(OWNER, { ...HOUR, metadata: { agent: 'a "quoted", one' } }, {});
    bench.clock.pass(36_000);
    await bench.engine.destroy(OWNER, sandbox.id);
    ids.push(sandbox.id);
  }
  return ids;
}

/** Lines of CSV without line breaks in their cells, as records by the heading. */
function records(csv: string): Record<string, string>[] {
  const cells = (line: string) =>
    [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "");
  const [heading = "", ...lines] = csv.trimEnd().split("\r\n");
  return lines.map((line) => Object.fromEntries(cells(heading).map((name, index) => [name, cells(line)[index] ?? ""])));
}

describe("settled usage", () => {
  it("is exported page by page, each stay once, with identifiers that are the same each time", async () => {
    await using bench = await openPriced();
    const ids = await stays(bench, 5);
    const page = (after: number) => bench.engine.money.export(OWNER, { format: "cloudevents", after, limit: 2 });
    const seen: { id: string; subject: string; specversion: string; data: Record<string, unknown> }[] = [];
    for (let cursor = 0, left = true; left;) {
      const { text: batch, cursor: next, count } = await page(cursor);
      seen.push(...(JSON.parse(batch) as typeof seen));
      cursor = next;
      left = count > 0;
    }
    expect(seen.map(({ id }) => id)).toEqual(ids.map((id) => `${id}-1`));
    expect(seen[0]).toMatchObject({
      specversion: "1.0",
      subject: "acme",
      data: { vcpu_seconds: 36, cost_micro_usd: 10_000, confirmed: true },
    });
    expect((await page(0)).text).toBe((await page(0)).text);
    expect(await bench.engine.money.export({ ...OWNER, tenant: "other" }, { format: "cloudevents", after: 0, limit: 9 })).toMatchObject({
      text: "[]",
      count: 0,
    });
  });

  it("is FOCUS 1.3 with the mandatory columns, and its costs add up to the report's", async () => {
    await using bench = await openPriced();
    await stays(bench, 3);
    const rows = records((await bench.engine.money.export(OWNER, { format: "focus", after: 0, limit: 100 })).text);
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({
      BilledCost: "0.010000",
      BillingCurrency: "USD",
      ChargeCategory: "Usage",
      SubAccountId: "acme",
      ServiceCategory: "Compute",
      HostProviderName: "fake",
      InvoiceIssuerName: "sand-boxer",
      ServiceProviderName: "sand-boxer",
    });
    for (const name of [
      "BilledCost",
      "BillingAccountId",
      "BillingPeriodStart",
      "BillingPeriodEnd",
      "ChargePeriodStart",
      "ChargePeriodEnd",
      "ChargeDescription",
      "ContractedCost",
      "EffectiveCost",
      "ListCost",
      "ServiceName",
    ])
      expect(rows[0]?.[name], name).not.toBe("");
    expect(JSON.parse(rows[0]?.["Tags"] ?? "")).toMatchObject({ agent: 'a "quoted", one' });
    const sum = rows.reduce((total, row) => total + Math.round(Number(row["BilledCost"]) * 1e6), 0);
    expect(sum).toBe((await bench.engine.money.usage(OWNER, {})).total.cost_micro_usd);
  });

  it("goes to Stripe through its SDK once, goes on where Stripe broke off, and leaves out whom it does not bill", async () => {
    const seen: { path: string | undefined; key: string | undefined; form: Record<string, string> }[] = [];
    let failing = false;
    const stripe = createServer((request: IncomingMessage, response) => {
      void text(request).then((body) => {
        if (failing && seen.length === 2) {
          response.writeHead(401, { "content-type": "application/json" });
          return response.end(JSON.stringify({ error: { type: "invalid_request_error", message: "Invalid API Key provided" } }));
        }
        seen.push({ path: request.url, key: request.headers.authorization, form: Object.fromEntries(new URLSearchParams(body)) });
        response.writeHead(200, { "content-type": "application/json" });
        return response.end(JSON.stringify({ object: "billing.meter_event", livemode: false }));
      });
    }).listen(0, "127.0.0.1");
    await once(stripe, "listening");
    onTestFinished(() => void stripe.close());
    process.env["TEST_STRIPE_KEY"] = "sk_test_local";
    onTestFinished(() => void delete process.env["TEST_STRIPE_KEY"]);
    const url = `http://127.0.0.1:${(stripe.address() as AddressInfo).port}`;
    const config = { money: { stripe: { key_env: "TEST_STRIPE_KEY", event_name: "sandbox_cost", customers: { acme: "cus_1" }, url } } };
    await using bench = await openPriced({ config });
    const ids = await stays(bench, 4);
    const free = (await bench.engine.create({ ...OWNER, tenant: "free" }, HOUR, {})).sandbox;
    await bench.engine.destroy({ ...OWNER, tenant: "free" }, free.id);
    failing = true;
    await expect(bench.engine.money.toStripe(ADMIN)).rejects.toMatchObject({
      code: "backend_auth",
      message: expect.stringContaining("Invalid API Key"),
    });
    failing = false;
    expect(await bench.engine.money.toStripe(ADMIN)).toMatchObject({ sent: 2, skipped: 1 });
    expect(await bench.engine.money.toStripe(ADMIN)).toMatchObject({ sent: 0, skipped: 0 });
    expect(seen.map(({ form }) => form["identifier"])).toEqual(ids.map((id) => `${id}-1`));
    expect(seen[0]).toMatchObject({
      path: "/v1/billing/meter_events",
      key: "Bearer sk_test_local",
      form: { event_name: "sandbox_cost", "payload[stripe_customer_id]": "cus_1", "payload[value]": "10000" },
    });
    await expect(bench.engine.money.toStripe(OWNER)).rejects.toMatchObject({ code: "forbidden" });
  });
});

describe("a backend's own metering", () => {
  it.each([
    [4, false],
    [25, true],
    [-25, true],
  ])("that is off by %i percent is kept beside ours, and flagged: %s", async (error, flagged) => {
    const clock: { now: () => number } = { now: Date.now };
    await using bench = await openPriced({
      fakes: { fake: { metering: { error_percent: error, now: () => clock.now() } } },
      prices: { fake: PRICE },
    });
    clock.now = bench.clock.now;
    const { sandbox } = await bench.engine.create(OWNER, HOUR, {});
    bench.clock.pass(1_000_000);
    await bench.engine.destroy(OWNER, sandbox.id);
    await bench.engine.sweep();
    const found = await bench.engine.money.discrepancies(OWNER, { limit: 9 });
    expect(found.map(({ sandbox_id, metered }) => [sandbox_id, metered["vcpu_seconds"]])).toEqual(
      flagged ? [[sandbox.id, 1000 + error * 10]] : [],
    );
    const told = (await bench.engine.events.list(OWNER, { limit: 100 })).data.filter(({ type }) => type === "usage.differs");
    expect(told).toHaveLength(flagged ? 1 : 0);
    expect((await bench.engine.get(OWNER, sandbox.id)).cost?.so_far_micro_usd).toBe(Math.ceil(1e9 / 3600));
  });
});
