import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { INSIDE } from "../../../contract/index.ts";

/**
 * What the sandboxes with egress of one host have in common: the host's trusted certificates, and a copy of its /etc/ssl/certs in which
 * each sandbox's own bundle and Java store can be mounted. One for all, read-only inside.
 */
export interface Trust {
  /** Directory with `certs` (stands at /etc/ssl/certs) and `resolv.conf`. */
  readonly directory: string;
  /** The host's certificates, PEM. */
  readonly systemPem: string;
}

/** Where distributions keep them: Debian, Fedora, SUSE, Alpine. */
const BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

const HOST_CERTS = "/etc/ssl/certs";

/** In `certs`: what is mounted over. */
export const BUNDLE = "ca-certificates.crt";
export const JAVA_STORE = "java/cacerts";

const RESOLV_CONF = `nameserver ${INSIDE.address}\n`;

/** Grows when the way of making it changes. */
const TRUST_FORM = 1;

/** Makes it below `parent`, or finds it there: its name says what it was made from. The first one costs some 20 ms. */
export async function ensureTrust(parent: string): Promise<Trust> {
  const bundle = BUNDLES.find((path) => existsSync(path));
  // A host without any: those that Node brings, which are Mozilla's.
  const systemPem = bundle === undefined ? `${(await import("node:tls")).rootCertificates.join("\n")}\n` : readFileSync(bundle, "utf8");
  const changed = statSync(HOST_CERTS, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const name = createHash("sha256")
    .update(JSON.stringify([TRUST_FORM, systemPem, changed, RESOLV_CONF]))
    .digest("hex")
    .slice(0, 16);
  const directory = join(parent, name);
  if (existsSync(directory)) return { directory, systemPem };
  const draft = `${directory}.${process.pid}.draft`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await writeReadable(join(draft, "resolv.conf"), RESOLV_CONF);
  const certs = join(draft, "certs");
  await mkdir(certs);
  if (existsSync(HOST_CERTS)) await copyCertificates(certs);
  for (const target of [BUNDLE, JAVA_STORE]) {
    await mkdir(dirname(join(certs, target)), { recursive: true });
    await rm(join(certs, target), { force: true });
    await writeReadable(join(certs, target), "");
  }
  for (const path of [parent, draft, certs, join(certs, "java")]) await chmod(path, 0o755);
  try {
    await rename(draft, directory);
  } catch (error) {
    // Another process made it meanwhile.
    if (!existsSync(directory)) throw error;
    await rm(draft, { recursive: true, force: true });
  }
  return { directory, systemPem };
}

/** Whatever the umask is. */
async function writeReadable(path: string, content: string): Promise<void> {
  await writeFile(path, content);
  await chmod(path, 0o644);
}

/** Links as they are: they lead to /usr/share, which is the host's inside too. OpenSSL finds a certificate by such a link's name. */
async function copyCertificates(to: string): Promise<void> {
  for (const entry of await readdir(HOST_CERTS, { withFileTypes: true })) {
    const [from, copy] = [join(HOST_CERTS, entry.name), join(to, entry.name)];
    if (entry.isSymbolicLink()) await symlink(await readlink(from), copy);
    else if (entry.isFile()) {
      await copyFile(from, copy);
      await chmod(copy, 0o644);
    }
  }
}
