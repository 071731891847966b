import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, decideConnection, narrowPolicy } from "../../../../src/guard/egress/policy/index.ts";
import { policies, policyOf, protocols, requests, targets } from "./stage.ts";

describe("a policy narrowed by another", () => {
  it("lets no request through that one of the two does not", () => {
    fc.assert(
      fc.property(policies, policies, requests, (policy, bound, question) => {
        if (decide(narrowPolicy(policy, bound), question).verdict === "deny") return;
        expect(decide(policy, question).verdict).not.toBe("deny");
        expect(decide(bound, question).verdict).not.toBe("deny");
      }),
      { numRuns: 5000 },
    );
  });

  it("lets no connection through that one of the two does not, and looks into it where one does", () => {
    fc.assert(
      fc.property(policies, policies, targets, protocols, (policy, bound, target, protocol) => {
        const narrow = decideConnection(narrowPolicy(policy, bound), { ...target, protocol });
        if (narrow.verdict !== "allow") return;
        for (const side of [policy, bound]) {
          const wide = decideConnection(side, { ...target, protocol });
          // Methods in TLS cannot be seen under one of them alone; where the other looks into it, they can, and are asked for.
          if (wide.verdict === "deny") expect([wide.reason, narrow.inspect]).toEqual(["protocol", true]);
          if (wide.inspect) expect(narrow.inspect).toBe(true);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("has the smaller of each limit", () => {
    fc.assert(
      fc.property(policies, policies, (policy, bound) => {
        const { limits } = narrowPolicy(policy, bound);
        for (const key of ["connections", "bytesPerSecond", "bytes", "idleMs"] as const) {
          expect(limits[key] ?? Infinity).toBe(Math.min(policy.limits[key] ?? Infinity, bound.limits[key] ?? Infinity));
        }
      }),
    );
  });

  it("by itself decides as before", () => {
    fc.assert(
      fc.property(policies, requests, (policy, question) => {
        expect(decide(narrowPolicy(policy, policy), question).verdict).toBe(decide(policy, question).verdict);
      }),
      { numRuns: 2000 },
    );
  });

  it("keeps what both name: the longer suffix, the inner range, the inner path", () => {
    const one = policyOf({ host: "*.test", ports: [443, 8443] }, { cidr: "8.8.8.0/24" }, { host: "p.test", paths: ["/a/*"] });
    const two = policyOf({ host: "*.a.test" }, { cidr: "8.8.8.8/32" }, { host: "p.test", paths: ["/a/b/*", "/c"] });
    expect(narrowPolicy(one, two).rules.map(({ host, cidr, ports, paths }) => [host ?? cidr, ports, paths])).toEqual([
      ["*.a.test", [443], undefined],
      ["p.test", [443], ["/a/b/*", "/c"]],
      ["8.8.8.8/32", [443], undefined],
      ["p.test", [443], ["/a/b/*"]],
    ]);
    expect(narrowPolicy(one, policyOf()).rules).toEqual([]);
  });
});
