import { describe, expect, it } from "vitest";
import type { LedgerEvent } from "../../src/contract/index.ts";
import { ADMIN, openBench, OWNER, STRANGER } from "./bench.ts";

describe("reading", () => {
  it("pages through a tenant's sandboxes, newest first, each once, whatever is made meanwhile", async () => {
    await using bench = await openBench();
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) {
      ids.push((await bench.engine.create(OWNER, { metadata: { even: String(i % 2 === 0) } }, {})).sandbox.id);
      bench.clock.pass(2);
    }
    await bench.engine.create(STRANGER, {}, {});
    const seen: string[] = [];
    for (let cursor: string | undefined, more = true; more;) {
      const page = await bench.engine.list(OWNER, { limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.data.map(({ id }) => id));
      bench.clock.pass(2);
      await bench.engine.create(OWNER, {}, {});
      cursor = page.next_cursor ?? undefined;
      more = cursor !== undefined;
    }
    expect(seen).toEqual(ids.toReversed());
    expect((await bench.engine.list(OWNER, { limit: 50, metadata: { even: "true" } })).data.length).toBe(4);
    await bench.engine.destroy(OWNER, ids[3] ?? "");
    expect((await bench.engine.list(OWNER, { limit: 2, states: ["terminated", "ready"] })).data.length).toBe(2);
    expect((await bench.engine.list(OWNER, { limit: 50, states: ["terminated"] })).data.map(({ id }) => id)).toEqual([ids[3]]);
    expect((await bench.engine.list(OWNER, { limit: 50, states: ["terminated", "ready"], metadata: { even: "false" } })).data.length).toBe(
      3,
    );
    await expect(bench.engine.list(OWNER, { limit: 5, cursor: "nonsense" })).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("shows all tenants to an admin alone", async () => {
    await using bench = await openBench();
    await bench.engine.create(OWNER, {}, {});
    await expect(bench.engine.list(STRANGER, { limit: 5, allTenants: true })).rejects.toMatchObject({ code: "forbidden" });
    expect((await bench.engine.list(ADMIN, { limit: 5 })).data).toEqual([]);
    expect((await bench.engine.list(ADMIN, { limit: 5, allTenants: true })).data.length).toBe(1);
  });

  it("follows events as they are written, by this process and another, and resumes where it stopped", async () => {
    await using bench = await openBench();
    const second = await bench.second();
    const seen: LedgerEvent[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for await (const event of bench.engine.events.follow(OWNER, {}, stop.signal)) {
        seen.push(event);
        if (event.type === "sandbox.terminated") stop.abort();
      }
    })();
    await bench.engine.create(STRANGER, {}, {});
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await second.destroy(OWNER, sandbox.id);
    await following;
    expect(seen.map(({ type }) => type)).toEqual(["sandbox.provisioning", "sandbox.ready", "sandbox.stopping", "sandbox.terminated"]);
    expect(seen.every(({ tenant }) => tenant === "acme")).toBe(true);
    const rest = await bench.engine.events.list(OWNER, { after: seen[1]?.seq ?? 0, limit: 1 });
    expect(rest).toMatchObject({ data: [{ type: "sandbox.stopping" }], next_cursor: String(seen[2]?.seq) });
  });

  it("gives figures, health, backends and a route without making anything", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    expect(await bench.engine.usage(OWNER, sandbox.id)).toHaveProperty("memory_bytes");
    expect((await bench.engine.health()).status).toBe("ok");
    expect(await bench.engine.backends(OWNER)).toMatchObject([{ name: "fake", available: true }]);
    expect(await bench.engine.route(OWNER, { isolation_level: { min: "microvm" } })).toMatchObject({
      chosen: null,
      candidates: [{ verdict: "rejected", reason: expect.stringContaining("below microvm") as string }],
    });
    const live = (await bench.engine.metrics()).find(({ name }) => name === "sandboxer_sandboxes");
    expect(live?.values).toEqual([{ labels: { state: "ready", backend: "fake" }, value: 1 }]);
    expect(bench.control().ids()).toEqual([sandbox.id]);
  });
});
