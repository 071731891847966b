import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EgressPolicy, EgressRule } from "../../../../src/contract/network.ts";
import type { RequestQuestion, Target } from "../../../../src/guard/egress/inspect/types.ts";
import { addressFault, answersName, decide, decideConnection } from "../../../../src/guard/egress/policy/index.ts";
import { policies, policyOf, protocols, requests, targets } from "./stage.ts";

/** The rules said over again in the slow and plain way, to hold the fast one against. */
function names(rule: EgressRule, { host, port }: Target): boolean {
  const number = (address: string): bigint => address.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  if (!rule.ports.includes(port)) return false;
  if (rule.host !== undefined) {
    return rule.host.startsWith("*.")
      ? host.split(".").length > rule.host.split(".").length - 1 && host.endsWith(rule.host.slice(1))
      : rule.host === host;
  }
  const [base = "", bits = ""] = (rule.cidr ?? "").split("/");
  return /^[\d.]+$/.test(host) && number(host) >> (32n - BigInt(bits)) === number(base) >> (32n - BigInt(bits));
}
function fits(rule: EgressRule, question: RequestQuestion): boolean {
  const glob = (pattern: string) =>
    new RegExp(
      `^${pattern
        .split("*")
        .map((piece) => piece.replaceAll(/[^a-z]/g, "\\$&"))
        .join(".*")}$`,
    );
  return (
    names(rule, question) &&
    (rule.methods?.includes(question.method) ?? true) &&
    (rule.paths?.some((pattern) => glob(pattern).test(question.path)) ?? true) &&
    (rule.websocket || !question.websocket)
  );
}
const isPrivate = (host: string) => /^(10|127|169)\./.test(host);
const exactly = (policy: EgressPolicy, { host, port }: Target) =>
  policy.rules.some((rule) => rule.cidr === `${host}/32` && rule.ports.includes(port));

describe("a request", () => {
  it("is allowed where one rule fits all of it, and nowhere else", () => {
    fc.assert(
      fc.property(policies, requests, (policy, question) => {
        const { verdict, rule } = decide(policy, question);
        const fitting = policy.rules.filter((one) => fits(one, question)).map(({ id }) => id);
        const open = !isPrivate(question.host) || exactly(policy, question);
        expect(verdict === "allow").toBe(fitting.length > 0 && open);
        if (verdict === "allow") expect(fitting).toContain(rule);
        else expect(rule).toBeNull();
      }),
      { numRuns: 3000 },
    );
  });

  it("that no rule fits is let out in audit mode alone, and never to a private address", () => {
    fc.assert(
      fc.property(policies, requests, (policy, question) => {
        const { verdict, reason, detail } = decide(policy, question);
        if (verdict === "audit") expect([policy.mode, isPrivate(question.host) && !exactly(policy, question)]).toEqual(["audit", false]);
        if (verdict === "deny") expect([typeof reason, detail]).toEqual(["string", expect.stringMatching(/./)]);
        if (policy.mode === "audit" && verdict === "deny") expect(reason).toBe("address_forbidden");
      }),
      { numRuns: 2000 },
    );
  });

  it("is told what it lacks: a rule, the port, the method, the path, the WebSocket", () => {
    const policy = policyOf({ host: "a.test", methods: ["GET"], paths: ["/a/*"], tls: "inspect" });
    const question = { scheme: "https", host: "a.test", port: 443, method: "GET", path: "/a/b", websocket: false } as const;
    expect(decide(policy, question)).toEqual({ verdict: "allow", rule: "allow[0]", reason: null, detail: null });
    expect(decide(policy, { ...question, host: "b.test" })).toMatchObject({
      reason: "no_rule",
      detail: expect.stringContaining("{host: b.test, ports: [443]}"),
    });
    expect(decide(policy, { ...question, port: 22 })).toMatchObject({ reason: "port", detail: expect.stringContaining("allow[0]") });
    expect(decide(policy, { ...question, method: "PUT" })).toMatchObject({ verdict: "deny", reason: "method" });
    expect(decide(policy, { ...question, path: "/b" })).toMatchObject({ verdict: "deny", reason: "path" });
    expect(decide(policy, { ...question, websocket: true })).toMatchObject({ verdict: "deny", reason: "websocket" });
  });
});

describe("a connection", () => {
  it("is allowed only where some rule names its host and port", () => {
    fc.assert(
      fc.property(policies, targets, protocols, (policy, target, protocol) => {
        const { verdict, inspect } = decideConnection(policy, { ...target, protocol });
        const naming = policy.rules.filter((rule) => names(rule, target));
        if (verdict === "allow") expect(naming.length).toBeGreaterThan(0);
        if (verdict !== "deny" && isPrivate(target.host)) expect(exactly(policy, target)).toBe(true);
        // Whatever a rule narrows to requests is looked into, or does not pass.
        if (verdict === "allow" && naming.some(({ tls }) => tls === "inspect") && protocol !== "any") expect(inspect).toBe(true);
        const narrowed = naming.every(({ methods, paths }) => methods !== undefined || paths !== undefined);
        if (verdict === "allow" && narrowed && protocol !== "any") expect(inspect).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it("that is neither TLS nor HTTP does not pass to a name's ports 80 and 443, where it could be anything behind a shared address", () => {
    const policy = policyOf({ host: "a.test", ports: [22, 80, 443] }, { cidr: "8.8.8.8/32", ports: [443] });
    expect(decideConnection(policy, { host: "a.test", port: 22, protocol: "tcp" })).toMatchObject({ verdict: "allow", inspect: false });
    expect(decideConnection(policy, { host: "a.test", port: 443, protocol: "tcp" })).toMatchObject({ verdict: "deny", reason: "protocol" });
    expect(decideConnection(policy, { host: "8.8.8.8", port: 443, protocol: "tcp" })).toMatchObject({ verdict: "allow" });
  });
});

describe("a name", () => {
  it("is answered where a rule names it, on whatever port", () => {
    const policy = policyOf({ host: "*.a.test", ports: [22] });
    expect([answersName(policy, "x.a.test"), answersName(policy, "a.test"), answersName(policy, "b.test")]).toEqual([true, false, false]);
    expect(answersName({ ...policy, mode: "audit" }, "b.test")).toBe(true);
  });
});

describe("an address that a name has resolved to", () => {
  const own = new Set(["93.184.215.14"]);
  it("may be dialled where it is public and not the host's own", () => {
    expect(addressFault(policyOf(), "1.1.1.1", 443, own)).toBeNull();
    expect(addressFault(policyOf(), "2606:4700:4700::1111", 443, own)).toBeNull();
    expect(addressFault(policyOf(), "93.184.215.14", 443, own)).toContain("address of the host");
  });

  it("is private only by a rule for exactly it, on that port, in audit mode too", () => {
    const wide = policyOf({ cidr: "10.0.0.0/8" }, { cidr: "0.0.0.0/0" });
    const exact = policyOf({ cidr: "10.0.0.5/32", ports: [5432] }, { cidr: "224.0.0.1/32", ports: [5432] });
    expect(addressFault(wide, "10.0.0.5", 443, own)).toContain("10.0.0.5/32");
    expect(addressFault({ ...wide, mode: "audit" }, "10.0.0.5", 443, own)).toContain("private");
    expect(addressFault(exact, "10.0.0.5", 5432, own)).toBeNull();
    expect(addressFault(exact, "10.0.0.5", 443, own)).toContain("private");
    expect(addressFault(exact, "224.0.0.1", 5432, own)).toContain("multicast");
    expect(addressFault(exact, "::ffff:10.0.0.5", 5432, own)).toContain("never");
  });
});
