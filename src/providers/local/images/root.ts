import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { idBase, type Slot } from "../disk/slot.ts";
import { HELPERS } from "../skeleton.ts";
import { DEFAULT_USER, findIn, type Inside, listIn } from "./inside.ts";
import { mountOverlay } from "./overlay.ts";

export interface RootInput {
  /** Directory that all layers are below. */
  readonly store: string;
  /** Layers below it, the topmost first. */
  readonly layers: readonly string[];
  readonly slot: Slot & { readonly directory: string };
  readonly inside: Inside;
  /** Who commands run as. */
  readonly user: Inside["user"];
  readonly sandboxId: string;
  readonly hostname: string;
  /** Where files and directories of the host's will be mounted inside. */
  readonly destinations: readonly string[];
}

/** What a runtime mounts on, and what programs expect of every system. */
const DIRECTORIES = ["proc", "dev", "sys/devices/system/cpu", "tmp", "run", HELPERS.slice(1), "etc"];

/** Where programs built for other distributions look for trusted certificates. */
const CERTIFICATE_LINKS = ["etc/ssl/cert.pem", "etc/pki/tls/certs/ca-bundle.crt"];

/**
 * Puts a sandbox's root together from its image's layers, at its slot's place for it. What is written inside goes to the slot's disk, within its
 * quota. Every place that something will be mounted on is made a real directory here, above the image's own: a link there leads the runtime nowhere.
 */
export async function mountRoot(input: RootInput): Promise<void> {
  const { store, layers, slot } = input;
  const upper = join(slot.directory, "upper");
  const tree = new UpperTree(upper, idBase(slot.number), layers.map((layer) => join(store, layer))); // prettier-ignore
  mkdirSync(join(slot.directory, "work"), { mode: 0o700 });
  for (const path of DIRECTORIES) tree.directory(path);
  for (const path of ["tmp", "var/tmp"]) {
    tree.directory(path);
    chmodSync(join(upper, path), 0o1777);
  }
  for (const path of new Set(["/workspace", input.inside.home, input.inside.workdir ?? "/workspace"])) tree.give(path.slice(1), input.user);
  for (const [path, text] of Object.entries(identityFiles(input, tree.layers))) tree.file(path, text);
  if (input.destinations.includes("/etc/ssl/certs"))
    for (const link of CERTIFICATE_LINKS) tree.link(link, "/etc/ssl/certs/ca-certificates.crt");
  for (const path of input.destinations.filter((one) => !one.startsWith("/etc/ssl/certs/")))
    if (path === "/etc/ssl/certs") tree.directory(path.slice(1));
    else tree.file(path.slice(1), "");
  await mountOverlay({ store, layers, target: slot.root, disk: slot.directory, slot: slot.number });
}

/** What says which machine this is, and who its user is: ours, whatever the image has. */
function identityFiles({ sandboxId, hostname, user }: RootInput, layers: readonly string[]): Record<string, string> {
  return {
    "etc/hostname": `${hostname}\n`,
    "etc/hosts": `127.0.0.1 localhost ${hostname}\n::1 localhost\n`,
    "etc/resolv.conf": "",
    "etc/machine-id": `${createHash("sha256").update(`machine-id\0${sandboxId}`).digest("hex").slice(0, 32)}\n`,
    ...listed("etc/passwd", listIn(layers, "etc/passwd"), user.uid, "root:x:0:0:root:/root:/bin/sh", `:x:${user.uid}:${user.gid}::/home/sandbox:/bin/sh`), // prettier-ignore
    ...listed("etc/group", listIn(layers, "etc/group"), user.gid, "root:x:0:", `:x:${user.gid}:`),
  };
}

/** A list of users or groups with one for the sandbox's, where the image has none: programs ask for the name of a number. */
function listed(path: string, text: string, id: number, root: string, rest: string): Record<string, string> {
  const lines = text.split("\n").filter((line) => line !== "");
  if (lines.some((line) => line.split(":")[2] === String(id))) return {};
  const name = id === DEFAULT_USER.uid && !lines.some((line) => line.startsWith("sandbox:")) ? "sandbox" : `sandbox-${id}`;
  return { [path]: [...(lines.length === 0 ? [root] : lines), `${name}${rest}`, ""].join("\n") };
}

/** Makes what stands above the layers before anything runs: by real directories of its own, so no link is followed. */
class UpperTree {
  readonly #upper: string;
  readonly #base: number;
  readonly layers: readonly string[];

  constructor(upper: string, base: number, layers: readonly string[]) {
    this.#upper = upper;
    this.#base = base;
    this.layers = layers;
    mkdirSync(upper);
    chmodSync(upper, 0o755);
    chownSync(upper, base, base);
  }

  /** With owner and mode of the image's directory of that name, if it has one. */
  directory(path: string): void {
    const parts = path.split("/").filter((part) => part !== "");
    for (let depth = 1; depth <= parts.length; depth++) {
      const part = parts.slice(0, depth).join("/");
      const at = join(this.#upper, part);
      if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory() === true) continue;
      const below = findIn(this.layers, part)?.stats;
      const like = below?.isDirectory() === true ? below : { mode: 0o755, uid: 0, gid: 0 };
      mkdirSync(at);
      // Whatever the umask is.
      chmodSync(at, like.mode & 0o777);
      chownSync(at, this.#base + like.uid, this.#base + like.gid);
    }
  }

  give(path: string, { uid, gid }: Inside["user"]): void {
    this.directory(path);
    chownSync(join(this.#upper, path), this.#base + uid, this.#base + gid);
  }

  file(path: string, text: string): void {
    this.directory(dirname(path));
    const at = join(this.#upper, path);
    if (existsSync(at)) return;
    writeFileSync(at, text, { flag: "wx" });
    chmodSync(at, 0o644);
    chownSync(at, this.#base, this.#base);
  }

  link(path: string, target: string): void {
    this.directory(dirname(path));
    symlinkSync(target, join(this.#upper, path));
  }
}
