import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalHost, hostFault, hostMatches, isAddress, patternFault } from "../../../../src/guard/egress/policy/index.ts";

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));

describe("a host's canonical form", () => {
  it("is its lower case, and is canonical itself", () => {
    expect(canonicalHost("API.Example.COM")).toBe("api.example.com");
    fc.assert(
      fc.property(name, (host) => {
        expect(canonicalHost(host.toUpperCase())).toBe(host);
        expect(canonicalHost(host)).toBe(host);
      }),
    );
  });

  it("is an address only as four plain decimal numbers", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(canonicalHost(address)).toBe(address);
        expect(isAddress(address)).toBe(true);
      }),
    );
  });

  it.each([
    "", "a b", "a\0.allowed.test", "evil.test\0.allowed.test", "a%00.test", "a%2e.test", "a.test%", "a\r\nhost: b", "a\tb", "a.test\n", "\u007f",
    "a.test.", ".", "..", ".a", "a..b", "-a.test", "a-.test", "user@a.test", "a.test#b", "a.test/b", "a.test?b", "a.test\\b", "a.test:443", "*.a.test",
    "bücher.test", "ａ.test", "a。test", "localhost\u200b", "[::1]", "::1", "::ffff:127.0.0.1", "fe80::1%eth0",
    "127.1", "0", "0x7f000001", "2130706433", "017700000001", "0x7f.0.0.1", "127.0.0.01", "1.2.3.4.5", "256.1.1.1", "1.2.3.0x4", "a.0x", "host.1",
    "a".repeat(64), `${"a.".repeat(127)}b`, "a$.test", "a,b", "a;b", "a'b", '"a"', "a|b",
  ])("does not exist for %j", (text) => {
    expect(canonicalHost(text)).toBeUndefined();
    expect(hostFault(text)).toMatch(/./);
  }); // prettier-ignore

  it("has, whatever is put in, no character but those of names and addresses", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.webAuthority(), fc.ipV6()), (text) => {
        const host = canonicalHost(text);
        if (host === undefined) return;
        expect(host).toMatch(/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/);
        expect(canonicalHost(host)).toBe(host);
      }),
      { numRuns: 2000 },
    );
  });

  it("of an international name is its xn-- form", () => {
    expect(canonicalHost("xn--bcher-kva.test")).toBe("xn--bcher-kva.test");
    expect(hostFault("bücher.test")).toContain("xn--");
  });
});

describe("a pattern", () => {
  it("that is a name matches that name alone", () => {
    fc.assert(
      fc.property(name, name, (pattern, host) => {
        expect(hostMatches(pattern, host)).toBe(pattern === host);
      }),
    );
  });

  it("with *. matches every name below, never the name itself or one that only ends alike", () => {
    fc.assert(
      fc.property(name, name, label, (suffix, below, glued) => {
        expect(hostMatches(`*.${suffix}`, `${below}.${suffix}`)).toBe(true);
        expect(hostMatches(`*.${suffix}`, suffix)).toBe(false);
        expect(hostMatches(`*.${suffix}`, `${glued}${suffix}`)).toBe(false);
        expect(hostMatches(`*.${suffix}`, `${suffix}.${below}.invalid`)).toBe(false);
      }),
    );
    expect(hostMatches("*.allowed.test", "xallowed.test")).toBe(false);
    expect(hostMatches("allowed.test", "allowed.test.denied.test")).toBe(false);
  });

  it.each([
    "*",
    "*.",
    "**.a.test",
    "a.*.test",
    "a*.test",
    "*a.test",
    "*.*.test",
    "10.0.0.1",
    "*.0.0.1",
    "a.test:443",
    "https://a.test",
    "*.a.test.",
  ])("cannot be %j", (pattern) => {
    expect(patternFault(pattern)).toMatch(/./);
  });
});
