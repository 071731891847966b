import { describe, expect, it } from "vitest";
import { ADMIN, OWNER, STRANGER } from "../bench.ts";
import { MemoryBoundary } from "../../support/memory-boundary.ts";
import { openStage } from "./stage.ts";

describe("the network log", () => {
  it("has every entry once and in order, by pages, also with two engines that take them in", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    const second = await stage.second({ boundary: async () => new MemoryBoundary(stage.boundary.store, stage.boundary.journal) });
    for (let count = 0; count < 1200; count++)
      stage.boundary.decide(sandbox.id, { verdict: "allow", reason: null, host: `h${count}.test` });
    await Promise.all([stage.engine.sweep(), second.sweep()]);
    const seen: string[] = [];
    for (let after = 0; ;) {
      const page = await stage.engine.network.log(OWNER, sandbox.id, { after, limit: 500 });
      seen.push(...page.data.map(({ host }) => host));
      if (page.next_cursor === null) break;
      after = Number(page.next_cursor);
    }
    expect(seen).toEqual(Array.from({ length: 1200 }, (_, index) => `h${index}.test`));
  });

  it("shows only what was refused where that is asked for, and nothing to another tenant", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.decide(sandbox.id, { verdict: "allow", reason: null });
    stage.boundary.decide(sandbox.id, { host: "evil.test" });
    const { data } = await stage.engine.network.log(OWNER, sandbox.id, { denied: true, limit: 10 });
    expect(data.map(({ host, seq }) => [host, seq])).toEqual([["evil.test", 2]]);
    await expect(stage.engine.network.log(STRANGER, sandbox.id, { limit: 10 })).rejects.toMatchObject({ code: "sandbox_not_found" });
  });

  it("is followed as entries come, and ends with the sandbox", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.decide(sandbox.id, { host: "one.test" });
    const seen: string[] = [];
    for await (const { host } of stage.engine.network.followLog(OWNER, sandbox.id, {}, new AbortController().signal)) {
      seen.push(host);
      if (host === "one.test") stage.boundary.decide(sandbox.id, { host: "two.test" });
      else await stage.engine.destroy(OWNER, sandbox.id);
    }
    expect(seen).toEqual(["one.test", "two.test"]);
  });

  it("keeps the newest ten thousand of a sandbox", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    for (let count = 0; count < 10_600; count++) stage.boundary.decide(sandbox.id, { verdict: "allow", reason: null });
    await stage.engine.sweep();
    const { data } = await stage.engine.network.log(OWNER, sandbox.id, { limit: 1 });
    expect(data[0]?.seq).toBe(601);
  });

  it("tells denials as events too, alike ones as one, and no more than thirty a minute", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    const denials = async () =>
      (await stage.engine.events.list(ADMIN, { sandboxId: sandbox.id, limit: 1000 })).data.filter(({ type }) => type === "network.denied");
    for (let count = 0; count < 5; count++) stage.boundary.decide(sandbox.id, { host: "evil.test" });
    await stage.engine.sweep();
    expect((await denials()).map(({ data }) => [data["host"], data["reason"], data["count"]])).toEqual([["evil.test", "no_rule", 5]]);
    for (let count = 0; count < 50; count++) stage.boundary.decide(sandbox.id, { host: `h${count}.test` });
    await stage.engine.sweep();
    expect(await denials()).toHaveLength(30);
    stage.clock.pass(61_000);
    stage.boundary.decide(sandbox.id, { host: "last.test" });
    await stage.engine.sweep();
    expect((await denials()).at(-1)?.data).toMatchObject({ host: "last.test", untold_before: 21 });
  });
});

describe("suggestions", () => {
  it("are made from what was refused, as JSON and as the YAML of a profile", async () => {
    await using stage = await openStage();
    const { sandbox } = await stage.engine.create(OWNER, { profile: "net" }, {});
    stage.boundary.decide(sandbox.id, { host: "pypi.org", protocol: "dns", via: "dns", port: 53 });
    stage.boundary.decide(sandbox.id, { host: "db.test", port: 5432, protocol: "tcp" });
    stage.boundary.decide(sandbox.id, { host: "10.0.0.5", reason: "address_forbidden" });
    const { allow, yaml, left_out, from_entries } = await stage.engine.network.suggest(OWNER, sandbox.id);
    expect(allow).toEqual([{ host: "db.test", ports: [5432] }, { host: "pypi.org" }]);
    expect(yaml).toBe("network:\n  allow:\n    - { host: db.test, ports: [5432] }\n    - { host: pypi.org }\n");
    expect([from_entries, left_out]).toEqual([2, [{ host: "10.0.0.5", reason: "address_forbidden", count: 1 }]]);
  });
});

describe("a check of a profile", () => {
  it.each([
    ["https://api.example.com/x", "allow", "allow[0]", null],
    ["https://www.example.org:8443/", "allow", "allow[1]", null],
    ["https://example.org/", "deny", null, { host: "example.org", ports: [443] }],
    ["http://api.example.com/", "deny", null, { host: "api.example.com", ports: [80] }],
    ["tcp://10.1.2.3:22", "deny", null, { cidr: "10.1.2.3/32", ports: [22] }],
  ] as const)("says of %s: %s", async (url, verdict, rule, needed) => {
    await using stage = await openStage();
    const answer = await stage.engine.network.check(OWNER, { profile: "net", url });
    expect([answer.verdict, answer.rule]).toEqual([verdict, rule]);
    if (needed === null) expect(answer.needed).toBeNull();
    else expect(answer.needed).toMatchObject({ ...needed, ports: [...needed.ports] });
    expect(stage.boundary.calls).toEqual([]);
  });

  it.each(["https://0x7f.1/", "https://api.example.com./", "ftp://api.example.com/", "https://[::1]/", "https://ex%00ample.com/"])(
    "refuses %s, which the boundary would not take",
    async (url) => {
      await using stage = await openStage();
      await expect(stage.engine.network.check(OWNER, { profile: "net", url })).rejects.toMatchObject({ code: "invalid_request" });
    },
  );
});
