import { X509Certificate } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { INSIDE, SandboxerError } from "../../../contract/index.ts";
import { certificatesOf, javaStore } from "./java-store.ts";
import { BUNDLE, JAVA_STORE, type Trust } from "./trust.ts";

/** What a sandbox with egress has inside, so that programs find the boundary and believe it. All of it is read-only there. */

const CERTS = "/etc/ssl/certs";

const CA_BUNDLE = `${CERTS}/${BUNDLE}`;

const HTTP_PROXY = `http://${INSIDE.address}:${INSIDE.httpProxyPort}`;

/** Not SOCKS for `ALL_PROXY`: Python's httpx, and with it the SDKs of most model vendors, refuses to start where it cannot speak it. */
const PROXIES = { http_proxy: HTTP_PROXY, https_proxy: HTTP_PROXY, all_proxy: HTTP_PROXY, no_proxy: "localhost,127.0.0.1,::1" };

/** Variables that libraries look at. What the user sets goes before them; without any of them the boundary is met all the same. */
export const EGRESS_VARIABLES: Readonly<Record<string, string>> = {
  ...PROXIES,
  ...Object.fromEntries(Object.entries(PROXIES).map(([name, value]) => [name.toUpperCase(), value])),
  ...Object.fromEntries(
    ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "PIP_CERT"].map((name) => [
      name,
      CA_BUNDLE,
    ]),
  ),
};

/** A host file or directory, and where it stands inside. */
export interface InsideMount {
  readonly source: string;
  readonly destination: string;
}

/** Keeps what the system's certificates are in Java's form: it is the same for all sandboxes. */
const parsed = new WeakMap<Trust, readonly Buffer[]>();

/**
 * Writes a sandbox's own bundle and Java store (some 0.4 MB) to `directory`, which is made, and answers what to mount: about 2 ms. Throws
 * `invalid_request` where the CA is no certificate.
 */
export function writeInside(trust: Trust, directory: string, caPem: string): InsideMount[] {
  const own = certificateIn(caPem);
  let system = parsed.get(trust);
  if (system === undefined) parsed.set(trust, (system = certificatesOf(trust.systemPem)));
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const [bundle, store] = [join(directory, "ca-certificates.crt"), join(directory, "cacerts")];
  writeFileSync(bundle, `${trust.systemPem.trimEnd()}\n${caPem.trim()}\n`);
  writeFileSync(store, javaStore([own, ...system]));
  // Whatever the umask is: the sandbox's users are others.
  for (const path of [bundle, store]) chmodSync(path, 0o644);
  return [
    { source: join(trust.directory, "certs"), destination: CERTS },
    { source: bundle, destination: CA_BUNDLE },
    { source: store, destination: `${CERTS}/${JAVA_STORE}` },
    { source: join(trust.directory, "resolv.conf"), destination: "/etc/resolv.conf" },
  ];
}

function certificateIn(pem: string): Buffer {
  try {
    return new X509Certificate(pem).raw;
  } catch (cause) {
    throw new SandboxerError("invalid_request", "the sandbox's own CA is no PEM certificate", { cause, phase: "create" });
  }
}
