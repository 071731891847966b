import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "../../support/world/certificates.ts";
import type { World } from "../../support/world/world.ts";

export const SITE_NAMES = ["web.test", "git.test", "pypi.test", "npm.test"] as const;

/** What the password of the private repository is; nothing inside may ever see it. */
export const TOKEN = "ghp-the-real-token-0b5f";

/** What the site's process is started with. */
export interface SiteOptions {
  readonly address: string;
  readonly key: string;
  readonly certificate: string;
  /** Directory of bare repositories: public.git and private.git. */
  readonly repositories: string;
  readonly token: string;
  readonly wheel: string;
  readonly tarball: string;
}

export interface Site extends AsyncDisposable {
  /** Subjects of the commits on the main branch of a repository, newest first, as the server has them. */
  readonly commits: (repository: string) => string[];
}

const ADDRESS = "11.22.33.30";

/** Starts a web site with repositories and registries in the world, under names and a certificate of the world's own. */
export async function openSite(world: World): Promise<Site> {
  const directory = join(world.directory, "site");
  mkdirSync(directory);
  const repositories = join(directory, "repositories");
  for (const name of ["public", "private"]) makeRepository(repositories, name);
  const authority = { key: join(world.directory, "world-ca.key"), certificate: world.caFile };
  const options: SiteOptions = {
    address: ADDRESS,
    ...makeCertificate(directory, "site", SITE_NAMES, authority),
    repositories,
    token: TOKEN,
    wheel: makeWheel(directory),
    tarball: makeTarball(directory),
  };
  execFileSync("ip", ["-n", world.namespace, "addr", "add", `${ADDRESS}/24`, "dev", "world"]);
  for (const name of SITE_NAMES) await world.set(name, [[ADDRESS]]);
  const child = world.run(process.execPath, [join(import.meta.dirname, "site-process.ts"), JSON.stringify(options)]);
  await ready(child);
  return {
    commits: (name) =>
      git(["-C", join(repositories, `${name}.git`), "log", "--format=%s", "main"])
        .trim()
        .split("\n"),
    async [Symbol.asyncDispose]() {
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let words = "";
    child.stderr?.on("data", (piece: Buffer) => (words += piece.toString()));
    child.stdout?.once("data", () => resolve());
    child.once("exit", (code) => reject(new Error(`the site ended with ${code ?? "a signal"}: ${words}`)));
  });
}

const WHO = ["-c", "user.name=Someone", "-c", "user.email=someone@example.test"];

function git(args: readonly string[]): string {
  return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** A bare repository with one commit and a file of 2 MiB that does not compress, so that a clone is more than one packet. */
function makeRepository(parent: string, name: string): void {
  const [bare, work] = [join(parent, `${name}.git`), join(parent, `${name}.work`)];
  git(["init", "-q", "--bare", "-b", "main", bare]);
  git(["-C", bare, "config", "http.receivepack", "true"]);
  git(["clone", "-q", bare, work]);
  writeFileSync(join(work, "README"), `of ${name}\n`);
  execFileSync("dd", ["if=/dev/urandom", `of=${join(work, "data")}`, "bs=1M", "count=2"], { stdio: "ignore" });
  git(["-C", work, "add", "."]);
  git(["-C", work, ...WHO, "commit", "-qm", "the first"]);
  git(["-C", work, "push", "-q", "origin", "HEAD:main"]);
}

/** A wheel by hand: a zip archive with a module and its metadata (PEP 427). */
function makeWheel(directory: string): string {
  const file = join(directory, "tiny_thing-1.0.0-py3-none-any.whl");
  const files = {
    "tiny_thing.py": "ANSWER = 42\n",
    "tiny_thing-1.0.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0.0\n",
    "tiny_thing-1.0.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny_thing-1.0.0.dist-info/RECORD": "tiny_thing.py,,\ntiny_thing-1.0.0.dist-info/METADATA,,\ntiny_thing-1.0.0.dist-info/WHEEL,,\ntiny_thing-1.0.0.dist-info/RECORD,,\n", // prettier-ignore
  };
  const program =
    "import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n for n, t in json.loads(sys.argv[2]).items(): z.writestr(n, t)";
  execFileSync("/usr/bin/python3", ["-c", program, file, JSON.stringify(files)]);
  return file;
}

function makeTarball(directory: string): string {
  const content = join(directory, "npm");
  mkdirSync(join(content, "package"), { recursive: true });
  writeFileSync(join(content, "package/package.json"), JSON.stringify({ name: "tiny-thing", version: "1.0.0", main: "index.js" }));
  writeFileSync(join(content, "package/index.js"), "module.exports = 42;\n");
  const file = join(directory, "tiny-thing-1.0.0.tgz");
  execFileSync("tar", ["-czf", file, "-C", content, "package"]);
  return file;
}
