import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { openSandboxer, serverOver } from "../../src/main.ts";
import { SandBoxer } from "../../src/sdk/index.ts";
import { startChild } from "../support/killed.ts";
import { priced } from "./money-config.ts";

const HOUR = { max_life: "1h", ttl: "1h", resources: { cpu: 1 } } as const;
const USD = 1_000_000;

async function openPricedDoor() {
  const dataDir = await mkdtemp(join(tmpdir(), "sbx-money-"));
  const opened = await openSandboxer({ dataDir, config: priced });
  const server = await serverOver(opened);
  onTestFinished(async () => {
    await server.close();
    await opened.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { url } = await server.listen({ port: 0 });
  const { secret: adminKey } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "admin", scopes: ["read", "write", "admin"] });
  const { secret: apiKey } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "acme", tenant: "acme", scopes: ["read", "write"] });
  return { dataDir, url, apiKey, admin: new SandBoxer({ url, apiKey: adminKey }), acme: new SandBoxer({ url, apiKey }) };
}

describe("money over HTTP", () => {
  it(
    "gives exactly five of a hundred parallel creates to a budget of five, over two processes on one ledger",
    { timeout: 60_000 },
    async () => {
      const { dataDir, apiKey, admin, acme } = await openPricedDoor();
      await admin.money.budgets.set("five", { tenant: "acme", limit_micro_usd: 5 * USD });
      const child = startChild("money.child.ts", import.meta.url, [dataDir], "pipe");
      const ended = once(child, "exit");
      onTestFinished(async () => {
        child.kill("SIGKILL");
        await ended;
      });
      const [line] = child.stdout === null ? [""] : ((await once(child.stdout, "data")) as [Buffer]);
      const other = new SandBoxer({ url: String(line).trim(), apiKey });
      const answers = await Promise.allSettled(Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? acme : other).create(HOUR)));
      const refused = answers.flatMap((answer) =>
        answer.status === "rejected" ? [answer.reason as { code: string; message: string }] : [],
      );
      expect(refused.map(({ code }) => code)).toEqual(Array.from({ length: 95 }, () => "budget_exceeded"));
      expect(refused[0]?.message).toContain('budget "five"');
      expect(await admin.money.audit()).toMatchObject({ balanced: true, open: 5, settled: 0 });
      expect((await acme.money.budgets.get("five")).current).toMatchObject({ reserved_micro_usd: 5 * USD, left_micro_usd: 0 });
    },
  );

  it("is shown with every sandbox, reported, exported, and kept from other tenants", async () => {
    const { url, apiKey, admin, acme } = await openPricedDoor();
    await admin.money.accounts.set("prepaid", { kind: "credits", tenant: "acme" });
    await admin.money.accounts.enter("prepaid", { id: "i-1", kind: "credit", amount_micro_usd: 3 * USD });
    await admin.money.accounts.setRoute({ tenant: "acme", backend: "*", accounts: ["prepaid"] });
    const sandbox = await acme.create(HOUR);
    expect(sandbox.info.cost).toMatchObject({ largest_micro_usd: USD, account: "prepaid", settled: false });
    expect(await acme.money.accounts.get("prepaid")).toMatchObject({ reserved_micro_usd: USD, left_micro_usd: 2 * USD });
    await sandbox.destroy();
    const report = await acme.money.usage({ by: ["day", "profile", "key"] });
    expect(report).toMatchObject({ data: [{ profile: "default", stays: 1 }], total: { stays: 1 }, running: { stays: 0 } });
    expect(report.data[0]?.key).toMatch(/^ky/);
    const page = await acme.money.export("focus");
    expect(page).toMatchObject({ count: 1, cursor: 1 });
    expect(page.text.split("\r\n")[0]).toMatch(/^BilledCost,/);
    const raw = await fetch(`${url}/v1/usage/export`, { headers: { authorization: `Bearer ${apiKey}` } });
    expect(raw.headers.get("content-type")).toBe("application/cloudevents-batch+json");
    expect((await acme.money.accounts.entries("prepaid")).map(({ kind }) => kind).sort()).toEqual(["credit", "reserve", "settle"]);
    await expect(acme.money.audit()).rejects.toMatchObject({ code: "forbidden" });
    await expect(acme.money.usage({ allTenants: true })).rejects.toMatchObject({ code: "forbidden" });
    await expect(acme.money.accounts.get("default")).rejects.toMatchObject({ code: "account_not_found" });
    await expect(admin.money.budgets.set("Bad Name", { limit_micro_usd: 1 })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(acme.money.usage({ from: "2026-13-45x" })).rejects.toMatchObject({ code: "invalid_request" });
    expect(await acme.money.accounts.setConsent({ fallback: true })).toEqual({ fallback: true });
    expect(await admin.money.audit()).toMatchObject({ balanced: true });
  });
});
