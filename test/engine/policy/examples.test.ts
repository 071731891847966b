import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { describe, expect, it } from "vitest";
import type { PolicyCase, PolicyFile, Principal } from "../../../src/contract/index.ts";
import { MemoryBoundary } from "../../support/memory-boundary.ts";
import { ADMIN, openBench } from "../bench.ts";

const DIRECTORY = "examples/policy";
const named = (end: string) => readdirSync(DIRECTORY).filter((name) => name.endsWith(end));
const files: PolicyFile[] = named(".cedar").map((name) => ({ name, text: readFileSync(join(DIRECTORY, name), "utf8") }));
const cases = (name: string) => parse(readFileSync(join(DIRECTORY, name), "utf8")) as PolicyCase[];

const key = (more: Partial<Principal> = {}): Principal => ({
  tenant: "globex",
  key_id: "ky1",
  scopes: ["read", "write"],
  role: "agent",
  ...more,
});

describe("the policies to begin from", () => {
  it("have cases beside each, which all hold, and decide each rule in one", async () => {
    await using bench = await openBench();
    expect(named(".test.yaml").map((name) => name.replace(".test.yaml", ".cedar"))).toEqual(files.map(({ name }) => name));
    const report = await bench.engine.policy.test(ADMIN, { files, cases: named(".test.yaml").flatMap(cases) });
    expect(report.cases.filter(({ passed }) => !passed)).toEqual([]);
    expect(report.untested).toEqual([]);
  });

  it("fail their cases where a rule is taken out", async () => {
    await using bench = await openBench();
    for (const name of named(".test.yaml").filter((one) => !one.startsWith("base."))) {
      const without = files.filter((one) => one.name !== name.replace(".test.yaml", ".cedar"));
      expect((await bench.engine.policy.test(ADMIN, { files: without, cases: cases(name) })).failed, name).toBeGreaterThan(0);
    }
  });

  it("decide the same of real requests", async () => {
    await using bench = await openBench({ boundary: new MemoryBoundary(), fakes: { fake: { isolation: "gvisor" } } });
    const { engine } = bench;
    const profile = (name: string, more: object = {}) =>
      engine.profiles.apply({ ...ADMIN, tenant: "globex" }, { kind: "profile", name, version: 1, ...more });
    await profile("prod-billing");
    await profile("ranges", { network: { allow: [{ cidr: "203.0.113.0/24" }] } });
    await profile("names", { network: { allow: [{ host: "pypi.org" }, { cidr: "203.0.113.7" }] } });
    await engine.policy.apply(ADMIN, { files });
    const create = (who: Principal, request: object) =>
      engine.create(who, request, {}).then(
        () => "made",
        (thrown: { code: string; details: { rule?: string } }) => thrown.details.rule ?? thrown.code,
      );
    expect(await create(key({ tenant: "acme" }), {})).toBe("acme-at-least-gvisor");
    expect(await create(key({ tenant: "acme" }), { isolation_level: { min: "gvisor" } })).toBe("made");
    expect(await create(key(), { profile: "ranges" })).toBe("no-raw-ips-at-create");
    expect(await create(key(), { profile: "names" })).toBe("no-raw-ips-at-create");
    expect(await create(key(), { profile: "names", network: { allow: [{ host: "pypi.org" }] } })).toBe("made");
    expect(await create(key({ role: "ci" }), { max_life: "4h" })).toBe("made");
    expect(await create(key({ role: "ci" }), { max_life: "241m" })).toBe("ci-at-most-4h");
    expect(await create(key({ role: "ci" }), {}), "the default of 8 h").toBe("ci-at-most-4h");
    expect(await create(key(), { profile: "prod-billing" })).toBe("prod-only-reviewed");
    expect(await create(key({ labels: ["reviewed"] }), { profile: "prod-billing" })).toBe("made");
    const { sandbox } = await engine.create(key(), { profile: "names", network: { allow: [{ host: "pypi.org" }] } }, {});
    await expect(engine.network.update(key(), sandbox.id, { allow: [{ cidr: "203.0.113.7" }] })).rejects.toMatchObject({
      details: { rule: "no-raw-ips-by-update" },
    });
  });
});
