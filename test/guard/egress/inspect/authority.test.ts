import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { leafIssuer, makeAuthority } from "../../../../src/guard/egress/inspect/authority.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-authority-"));
afterAll(() => rmSync(directory, { recursive: true }));

function verify(ca: string, leaf: string, ...options: string[]): string {
  const [caFile, leafFile] = [join(directory, "ca.pem"), join(directory, "leaf.pem")];
  writeFileSync(caFile, ca);
  writeFileSync(leafFile, leaf);
  return execFileSync("openssl", ["verify", "-x509_strict", "-purpose", "sslserver", ...options, "-CAfile", caFile, leafFile], { encoding: "utf8", stdio: "pipe" }); // prettier-ignore
}

it("openssl believes a leaf by the strict rules, for its own name or address and no other", () => {
  const authority = makeAuthority();
  const issuer = leafIssuer(authority);
  const name = `${"long-label-".repeat(5)}x.example.test`;
  expect(verify(authority.certPem, issuer.issue(name), "-verify_hostname", name)).toContain("OK");
  expect(verify(authority.certPem, issuer.issue("203.0.113.7"), "-verify_ip", "203.0.113.7")).toContain("OK");
  expect(() => verify(authority.certPem, issuer.issue(name), "-verify_hostname", "example.test")).toThrow();
});

it("another sandbox's CA vouches for nothing here", () => {
  const [one, other] = [makeAuthority(), makeAuthority()];
  expect(() => verify(other.certPem, leafIssuer(one).issue("a.test"))).toThrow();
});

it("a CA can sign servers and no further CA, and a leaf can sign nothing", () => {
  const authority = makeAuthority();
  const [ca, leaf] = [new X509Certificate(authority.certPem), new X509Certificate(leafIssuer(authority).issue("a.test"))];
  expect([ca.ca, leaf.ca]).toEqual([true, false]);
  expect(execFileSync("openssl", ["x509", "-noout", "-ext", "basicConstraints"], { input: authority.certPem, encoding: "utf8" })).toContain(
    "pathlen:0",
  );
});

it("a certificate and a key that do not belong together are refused", () => {
  const [one, other] = [makeAuthority(), makeAuthority()];
  expect(() => leafIssuer({ certPem: one.certPem, keyPem: other.keyPem })).toThrow("do not belong together");
});
