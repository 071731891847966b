import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { SandboxerError } from "../../contract/index.ts";

/**
 * The made-up root of `image: host`: directories to mount on, a minimal /etc without anything of the host's identity, and our
 * two static helpers. One for all sandboxes, read-only inside, owned by the host's root.
 */

/** The user commands run as, unless a profile says another. */
export const SANDBOX_UID = 1000;

/** Where the helpers stand inside. */
export const HELPERS = "/.sandboxer";

const DIRECTORIES = [
  "etc/alternatives", "etc/ssl/certs", "etc/pki/tls/certs", "etc/profile.d", "proc", "dev", "sys/devices/system/cpu", "tmp", "run", "usr", "home/sandbox", "workspace",
  "root", "opt", "mnt", "srv", "media", "var/tmp", "var/lib", "var/log", "var/cache", HELPERS.slice(1),
]; // prettier-ignore

const FILES: Readonly<Record<string, string>> = {
  "etc/passwd": [
    "root:x:0:0:root:/root:/usr/sbin/nologin",
    `sandbox:x:${SANDBOX_UID}:${SANDBOX_UID}:sandbox:/home/sandbox:/bin/bash`,
    // The same user by the name that programs written for E2B know; the first entry is the one a number stands for.
    `user:x:${SANDBOX_UID}:${SANDBOX_UID}:user:/home/user:/bin/bash`,
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    "",
  ].join("\n"),
  "etc/group": `root:x:0:\ntty:x:5:\nsandbox:x:${SANDBOX_UID}:\nnogroup:x:65534:\n`,
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/resolv.conf": "",
  "etc/ld.so.cache": "",
  "etc/os-release": "",
  "etc/localtime": "",
  "etc/profile": 'PS1=\'\\u@\\h:\\w\\$ \'\nfor f in /etc/profile.d/*.sh; do [ -r "$f" ] && . "$f"; done\nunset f\n',
};

/** Host files and directories of /etc that programs need and that say nothing about the host's secrets. Bound read-only where they exist. */
const HOST_ETC = ["alternatives", "ssl/certs", "ld.so.cache", "os-release", "localtime"] as const;

/** Configuration of Debian's JDKs: without it they know no cryptography. */
const JAVA_ETC = /^java-\d+-openjdk$/;

/** Where programs built for other distributions look for trusted certificates. */
const CERTIFICATE_LINKS = ["etc/ssl/cert.pem", "etc/pki/tls/certs/ca-bundle.crt"];

/** Links that stand in / on a merged-/usr system. */
const USR_LINKS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/** Grows when the way of making it changes, and what it is made from does not. */
const SKELETON_FORM = 2;

export interface Skeleton {
  /** The root file system. */
  readonly root: string;
  /** Directory with `tini` and `busybox`, bound at {@link HELPERS}. */
  readonly helpers: string;
  /** Directory of made-up /sys/devices/system/cpu trees, by number of CPUs. */
  readonly cpus: string;
  /** Names below /etc that are bound from the host where they are there: each has its place in the root. */
  readonly hostEtc: readonly string[];
}

async function findStatic(names: readonly string[], packageName: string): Promise<string> {
  for (const name of names)
    for (const directory of ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]) if (existsSync(join(directory, name))) return join(directory, name);
  throw new SandboxerError("provider_missing_dependency", `${names[0]} is not on this host`, {
    phase: "probe",
    hint: `Run: apt-get install ${packageName}`,
  });
}

/**
 * Makes the skeleton below `parent`, or finds it there. Its name says what is in it, so that an upgrade makes a new one beside those
 * that live sandboxes stand on. It is made whole under another name and then renamed. Throws `provider_missing_dependency` where
 * tini or the static busybox is missing.
 */
export async function ensureSkeleton(parent: string): Promise<Skeleton> {
  const tini = await findStatic(["tini-static"], "tini");
  const busybox = await findStatic(["busybox"], "busybox-static");
  const java = (await readdir("/etc")).filter((name) => JAVA_ETC.test(name)).sort();
  const directory = join(parent, fingerprint([tini, busybox], java));
  const [root, helpers, cpus] = [join(directory, "root"), join(directory, "helpers"), join(directory, "cpus")];
  const skeleton: Skeleton = { root, helpers, cpus, hostEtc: [...HOST_ETC, ...java] };
  if (existsSync(directory)) return skeleton;
  await mkdir(parent, { recursive: true, mode: 0o711 });
  const draft = `${directory}.${process.pid}.draft`;
  await rm(draft, { recursive: true, force: true });
  await makeRoot(join(draft, "root"), java);
  await mkdir(join(draft, "helpers"));
  for (const [from, name] of [[tini, "tini"], [busybox, "busybox"]] as const) {
    await copyFile(from, join(draft, "helpers", name));
    await chmod(join(draft, "helpers", name), 0o755);
  } // prettier-ignore
  for (let count = 1; count <= availableParallelism(); count++) await makeCpuTree(join(draft, "cpus", String(count)), count);
  await openToReaders(draft);
  // runc gives a tmpfs the mode of what it is mounted on, whatever its options say.
  for (const name of ["tmp", "var/tmp"]) await chmod(join(draft, "root", name), 0o1777);
  try {
    await rename(draft, directory);
  } catch (error) {
    // Another process made it meanwhile.
    if (!existsSync(directory)) throw error;
    await rm(draft, { recursive: true, force: true });
  }
  return skeleton;
}

/** Changes with everything that a skeleton is made from. */
function fingerprint(programs: readonly string[], java: readonly string[]): string {
  const seen = programs.map((program) => [program, statSync(program).size, statSync(program).mtimeMs]);
  const made = [SKELETON_FORM, DIRECTORIES, FILES, USR_LINKS, java, availableParallelism(), seen];
  return createHash("sha256").update(JSON.stringify(made)).digest("hex").slice(0, 16);
}

async function makeRoot(root: string, java: readonly string[]): Promise<void> {
  for (const name of [...DIRECTORIES, ...java.map((one) => `etc/${one}`)]) await mkdir(join(root, name), { recursive: true });
  for (const link of USR_LINKS) {
    if (existsSync(join("/usr", link))) await symlink(`usr/${link}`, join(root, link));
  }
  await symlink("/run", join(root, "var/run"));
  await symlink("sandbox", join(root, "home/user"));
  for (const link of CERTIFICATE_LINKS) await symlink("/etc/ssl/certs/ca-certificates.crt", join(root, link));
  await symlink("/proc/self/mounts", join(root, "etc/mtab"));
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(root, name), text);
}

/** What glibc, Go and Java look at to learn how many CPUs there are. */
async function makeCpuTree(directory: string, count: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  const range = count === 1 ? "0\n" : `0-${count - 1}\n`;
  for (const name of ["online", "possible", "present"]) await writeFile(join(directory, name), range);
  for (let cpu = 0; cpu < count; cpu++) await mkdir(join(directory, `cpu${cpu}`));
}

/** Whatever the umask was: everybody may read and enter, since the sandbox's root is an unprivileged host user. */
async function openToReaders(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await openToReaders(path);
    else if (entry.isFile()) await chmod(path, path.includes("/helpers/") ? 0o755 : 0o644);
  }
}
