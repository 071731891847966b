import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AllowRule, EgressPolicy, Network, NetworkFloor } from "../../src/contract/index.ts";
import { decide, decideConnection } from "../../src/guard/egress/policy/index.ts";
import { compilePolicy, mergeNetwork, narrowNetwork } from "../../src/guard/index.ts";

const host = fc.constantFrom("a.test", "b.test", "x.a.test", "*.a.test", "*.test");
const ports = fc.option(fc.uniqueArray(fc.constantFrom(80, 443, 8443), { minLength: 1 }), { nil: undefined });
const methods = fc.option(fc.uniqueArray(fc.constantFrom("GET", "POST"), { minLength: 1 }), { nil: undefined });
const paths = fc.option(fc.uniqueArray(fc.constantFrom("/", "/v1/*", "/v1/items", "/*"), { minLength: 1 }), { nil: undefined });
const place = fc.oneof(host.map((name) => ({ host: name })), fc.constantFrom({ cidr: "93.184.0.0/16" }, { cidr: "93.184.216.34/32" })); // prettier-ignore
const rule = fc
  .record({ place, ports, methods, paths, websocket: fc.boolean(), inspect: fc.boolean() })
  .map(({ place, inspect, methods, paths, ...rest }): AllowRule => {
    const tls = inspect || methods !== undefined || paths !== undefined ? { tls: "inspect" as const } : {};
    return JSON.parse(JSON.stringify({ ...place, ...rest, methods, paths, ...tls })) as AllowRule;
  });
const rules = fc.array(rule, { maxLength: 5 });
const limits = fc.record(
  { connections: fc.integer({ min: 1, max: 5000 }), bytes: fc.integer({ min: 1, max: 1e6 }), idle: fc.integer({ min: 1, max: 4000 }) },
  { requiredKeys: [] },
);
const mode = fc.constantFrom("enforce" as const, "audit" as const);
const network = fc.record({ allow: rules, limits, mode }, { requiredKeys: [] });
const floor = fc.record({ allow: rules, limits, audit: fc.boolean() }, { requiredKeys: [] });

const hosts = ["a.test", "b.test", "x.a.test", "y.x.a.test", "c.test", "93.184.216.34", "93.184.1.1"];
const question = fc.record({
  host: fc.constantFrom(...hosts),
  port: fc.constantFrom(80, 443, 8443),
  scheme: fc.constantFrom("http" as const, "https" as const),
  method: fc.constantFrom("GET", "POST"),
  path: fc.constantFrom("/", "/v1/items", "/v1/other", "/x"),
  websocket: fc.boolean(),
});

/** Whether anything of the question gets out, audit or not. */
function letsOut(policy: EgressPolicy, asked: typeof question extends fc.Arbitrary<infer T> ? T : never): boolean {
  const connection = decideConnection(policy, { ...asked, protocol: asked.scheme === "https" ? "tls" : "http" });
  if (connection.verdict === "deny") return false;
  return !connection.inspect || decide(policy, asked).verdict !== "deny";
}

const bare = ({ allow }: NetworkFloor): Network => (allow === undefined ? { mode: "audit" } : { allow });

describe("merging what may be reached", () => {
  it("lets nothing out that floor, profile or request would not, whatever they say", () => {
    fc.assert(
      fc.property(floor, network, fc.option(network, { nil: undefined }), question, (operator, profile, request, asked) => {
        const merged = mergeNetwork(operator, profile, request, () => {});
        if (merged === null || !letsOut(merged.policy, asked)) return;
        expect(letsOut(merged.ceiling, asked)).toBe(true);
        expect(letsOut(compilePolicy(profile), asked)).toBe(true);
        expect(letsOut(compilePolicy(bare(operator)), asked)).toBe(true);
        if (request?.allow !== undefined)
          expect(letsOut(compilePolicy({ mode: merged.policy.mode, allow: request.allow }), asked)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("gives no larger limit and no wider mode than any of the three", () => {
    fc.assert(
      fc.property(floor, network, network, (operator, profile, request) => {
        const merged = mergeNetwork(operator, profile, request, () => {});
        if (merged === null) return;
        const { policy } = merged;
        for (const side of [operator, profile, request]) {
          expect(policy.limits.connections).toBeLessThanOrEqual(side.limits?.connections ?? Infinity);
          expect(policy.limits.bytes ?? Infinity).toBeLessThanOrEqual(side.limits?.bytes ?? Infinity);
          expect(policy.limits.idleMs).toBeLessThanOrEqual((side.limits?.idle ?? Infinity) * 1000);
        }
        const mayAudit = profile.mode === "audit" && request.mode !== "enforce" && operator.audit !== false && operator.allow === undefined;
        expect(policy.mode === "audit").toBe(mayAudit);
      }),
    );
  });

  it("narrowing what was narrowed changes nothing, and names nothing", () => {
    fc.assert(
      fc.property(network, network, (profile, request) => {
        const ceiling = compilePolicy(profile);
        const once = narrowNetwork(ceiling, request, () => {});
        const named: string[] = [];
        expect(narrowNetwork(once, { mode: once.mode }, (field) => named.push(field))).toEqual(once);
        expect(named).toEqual([]);
      }),
    );
  });

  it.each([
    ["nothing at all", undefined],
    ["an empty list", []],
  ])("has no egress where the profile lists %s, whatever the request asks, and says so", (_what, allow) => {
    const named: string[] = [];
    const profile = allow === undefined ? {} : { allow };
    expect(mergeNetwork({}, profile, { allow: [{ host: "a.test" }], mode: "audit" }, (field) => named.push(field))).toBeNull();
    expect(named.toSorted()).toEqual(["network.allow[0]", "network.mode"]);
  });

  it("lets nobody out beyond an operator's empty list", () => {
    expect(mergeNetwork({ allow: [] }, { allow: [{ host: "a.test" }], mode: "audit" }, undefined, () => {})).toBeNull();
  });
});
