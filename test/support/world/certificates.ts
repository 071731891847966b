import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";

/** A key and its certificate, PEM files. */
export interface Files {
  readonly key: string;
  readonly certificate: string;
}

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** A certificate authority of the test's own, by the real `openssl`. */
export function makeAuthority(directory: string, name: string): Files {
  mkdirSync(directory, { recursive: true });
  const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", `/CN=${name}`, "-keyout", key, "-out", certificate); // prettier-ignore
  return { key, certificate };
}

/** A server's certificate for the names, signed by the authority. */
export function makeCertificate(directory: string, name: string, names: readonly string[], authority: Files): Files {
  const [key, request, certificate, extensions] = ["key", "csr", "pem", "ext"].map((ending) => join(directory, `${name}.${ending}`)) as [string, string, string, string]; // prettier-ignore
  writeFileSync(
    extensions,
    `subjectAltName=${names.map((one) => `${isIP(one) === 0 ? "DNS" : "IP"}:${one}`).join(",")}\nextendedKeyUsage=serverAuth\n`,
  );
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${names[0] ?? name}`, "-keyout", key, "-out", request); // prettier-ignore
  openssl("x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate); // prettier-ignore
  // Servers send the whole chain.
  writeFileSync(certificate, readFileSync(certificate, "utf8") + readFileSync(authority.certificate, "utf8"));
  return { key, certificate };
}
