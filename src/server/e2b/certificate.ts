import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rename, rm, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { SandboxerError } from "../../contract/index.ts";
import type { TlsFiles } from "../tls-server.ts";
import { domainName } from "../preview/address.ts";

const run = promisify(execFile);
const DAYS = 397;
/** One that ends sooner is made anew at the next start. */
const RENEW_MS = 30 * 86_400_000;

/** The certificate of a TLS listener, and who signed it. */
export interface Certificate extends TlsFiles {
  /** File that clients must be told to trust; undefined where the certificate is the operator's own. */
  readonly authority: string | undefined;
}

/** An operator's own certificate. Throws `invalid_request` where it cannot be read. */
export async function certificateFrom(files: { certificate: string; key: string }): Promise<Certificate> {
  const read = async (path: string): Promise<Buffer> =>
    readFile(path).catch((cause: unknown) => {
      throw new SandboxerError("invalid_request", `e2b.tls: cannot read ${path}`, { phase: "open", cause });
    });
  return { certificate: await read(files.certificate), key: await read(files.key), authority: undefined };
}

/**
 * A certificate for the domain and everything below it, in `e2b/tls` of the data directory; made by `openssl` where there
 * is none for that domain, or it ends within a month. The key that signed it is not kept, so that trusting it means
 * trusting these names and no others.
 *
 * @throws SandboxerError `provider_missing_dependency` where there is no `openssl`; `invalid_request` for a domain that
 * wildcards cannot stand below.
 */
export async function developmentCertificate(dataDir: string, domain: string): Promise<Certificate> {
  const name = domainName(domain);
  if (!name.includes(".")) {
    throw new SandboxerError(
      "invalid_request",
      `e2b.domain: "${name}" needs a dot for TLS: clients take no wildcard directly below a top-level name`,
      {
        phase: "open",
        hint: 'Use a name such as "sbx.test".',
      },
    );
  }
  const directory = join(dataDir, "e2b", "tls");
  const files = {
    certificate: join(directory, "certificate.pem"),
    key: join(directory, "key.pem"),
    authority: join(directory, "authority.pem"),
  };
  if (!(await isGood(files.certificate, name))) await make(join(dataDir, "e2b"), directory, name);
  return { certificate: await readFile(files.certificate), key: await readFile(files.key), authority: files.authority };
}

async function isGood(path: string, name: string): Promise<boolean> {
  let text: Buffer;
  try {
    text = await readFile(path);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return false;
    throw thrown;
  }
  const certificate = new X509Certificate(text);
  return certificate.checkHost(`x.${name}`) !== undefined && Date.parse(certificate.validTo) - Date.now() > RENEW_MS;
}

async function make(parent: string, directory: string, name: string): Promise<void> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const draft = await mkdtemp(join(parent, "tls-"));
  const file = (base: string): string => join(draft, base);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", String(DAYS)];
  const names = `subjectAltName=DNS:${name},DNS:*.${name}`;
  try {
    await openssl(["req", "-x509", ...key, "-keyout", file("authority-key.pem"), "-out", file("authority.pem"), "-subj", `/CN=sand-boxer development for ${name}`.slice(0, 68),
      "-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-addext", "keyUsage=critical,keyCertSign"]); // prettier-ignore
    await openssl(["req", "-x509", ...key, "-CA", file("authority.pem"), "-CAkey", file("authority-key.pem"), "-keyout", file("key.pem"), "-out", file("certificate.pem"),
      "-subj", "/CN=sand-boxer", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=serverAuth"]); // prettier-ignore
    await rm(file("authority-key.pem"));
    await rm(directory, { recursive: true, force: true });
    await rename(draft, directory);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function openssl(args: string[]): Promise<void> {
  try {
    await run("openssl", args, { timeout: 60_000 });
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (missing)
      throw new SandboxerError("provider_missing_dependency", "openssl is not on this host", {
        phase: "open",
        hint: "Run: apt-get install openssl, or name a certificate and key in e2b.tls.",
        cause,
      });
    throw new SandboxerError("internal", "openssl could not make a certificate", { phase: "open", cause });
  }
}
