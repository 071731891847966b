import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NetworkVerdict } from "../../src/contract/index.ts";
import { decide } from "../../src/guard/egress/policy/index.ts";
import { compilePolicy, suggestRules } from "../../src/guard/index.ts";

let seq = 0;
const entry = (fields: Partial<NetworkVerdict>): NetworkVerdict => ({
  seq: ++seq, at: "2026-01-01T00:00:00.000Z", sandbox_id: "sb", protocol: "tls", via: "transparent", host: "a.test", port: 443, address: null, method: null,
  path: null, verdict: "deny", rule: null, reason: "no_rule", detail: null, secret: null, bytes_up: 0, bytes_down: 0, ms: 0, ...fields,
}); // prettier-ignore

describe("suggested rules", () => {
  it("put a host's ports together, and leave the usual one out", () => {
    const { allow } = suggestRules([
      entry({}),
      entry({ host: "b.test", port: 8443 }),
      entry({ host: "b.test" }),
      entry({ host: "b.test" }),
    ]);
    expect(allow).toEqual([{ host: "a.test" }, { host: "b.test", ports: [443, 8443] }]);
  });

  it("name methods and paths only where they were seen, and then with inspect", () => {
    const seen = { protocol: "https", reason: "path", rule: "allow[0]" } as const;
    const { allow } = suggestRules([
      entry({ ...seen, method: "GET", path: "/a" }),
      entry({ ...seen, method: "POST", path: "/b" }),
      entry({}),
    ]);
    expect(allow).toEqual([{ host: "a.test", methods: ["GET", "POST"], paths: ["/a", "/b"], tls: "inspect" }]);
  });

  it("make an address a range of one, and leave out what no rule can or should allow", () => {
    const { allow, leftOut } = suggestRules([
      entry({ host: "93.184.216.34", port: 22 }),
      entry({ reason: "placeholder", secret: "T" }),
      entry({ reason: "bad_name", host: "x\0y" }),
    ]);
    expect(allow).toEqual([{ cidr: "93.184.216.34/32", ports: [22] }]);
    expect(leftOut.map(({ reason }) => reason)).toEqual(["placeholder", "bad_name"]);
  });

  it("make many paths into patterns, which still allow every one of them", () => {
    const segment = fc.stringMatching(/^[a-z0-9]{1,6}$/);
    const path = fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join("/")}`);
    fc.assert(
      fc.property(fc.array(path, { minLength: 1, maxLength: 60 }), (paths) => {
        const { allow } = suggestRules(paths.map((one) => entry({ protocol: "https", reason: "path", method: "GET", path: one })));
        expect(allow[0]?.paths?.length).toBeLessThanOrEqual(8);
        const policy = compilePolicy({ allow });
        for (const one of paths) {
          const asked = { scheme: "https", host: "a.test", port: 443, method: "GET", path: one, websocket: false } as const;
          expect(decide(policy, asked).verdict).toBe("allow");
        }
      }),
    );
  });
});
