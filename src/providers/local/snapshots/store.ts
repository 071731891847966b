import { isMissingOrHalf } from "../half-written.ts";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { isId, SandboxerError } from "../../../contract/index.ts";
import { identify, isAlive, type ProcessIdentity } from "../process-tree.ts";
import type { SandboxImage } from "../record.ts";
import { runOk } from "../run.ts";
import { manifestOf } from "./manifest.ts";
import { removeTree } from "./remove-tree.ts";

/** A snapshot as it is kept, beside its tree. */
export interface SnapshotRecord {
  readonly id: string;
  readonly tenant: string;
  /** What its sandbox came from, the nearest first: its tree says only what differs from theirs. */
  readonly parents: readonly string[];
  /** What is below all of them; undefined: the host's own programs. */
  readonly image?: SandboxImage;
  /** sha256 over the manifest of its tree. */
  readonly digest: string;
  readonly bytes: number;
  readonly entries: number;
}

/** Who makes a draft, and which sandbox stands still for it. */
interface Maker {
  readonly process: ProcessIdentity | undefined;
  readonly sandbox: string | null;
}

/** A tree of up to this size is read whole before each use; a larger one once, and again after an hour. */
const SMALL = { bytes: 64 * 1024 ** 2, entries: 2000 };
const VERIFIED_MS = 3_600_000;

/** The snapshots of one data directory: `<id>/fs` is what differs from its parents, `drafts/<id>` what is being made. */
export class SnapshotStore {
  readonly root: string;
  readonly #verified = new Map<string, { digest: string; at: number }>();

  constructor(root: string) {
    this.root = root;
  }

  /** Every one that is whole. Throws where the directory cannot be read. */
  records(): SnapshotRecord[] {
    return this.#ids().map((id) => this.#read(id)).filter((record) => record !== undefined); // prettier-ignore
  }

  find(id: string): SnapshotRecord {
    const record = this.#read(id);
    if (record !== undefined) return record;
    throw new SandboxerError("not_found", `there is no snapshot ${id} on this host`, { phase: "snapshot" });
  }

  look(id: string): SnapshotRecord | undefined {
    return this.#read(id);
  }

  /** Ids of all that is there, drafts too. */
  all(): string[] {
    // Exports stand among the drafts as well, under names of their own.
    return [...new Set([...this.#ids(), ...this.#drafts().filter((name) => isId("snapshot", name))])];
  }

  /** Makes a directory for one that is not whole yet. Whatever was there of it before is thrown away. */
  async draft(id: string, sandbox: string | null): Promise<string> {
    const directory = join(this.root, "drafts", checked(id));
    await removeTree(directory);
    mkdirSync(join(directory, "fs"), { recursive: true, mode: 0o700 });
    const maker: Maker = { process: identify(process.pid), sandbox };
    writeFileSync(join(directory, "maker"), JSON.stringify(maker));
    return directory;
  }

  /** Puts a draft in its place when it is on the disk. */
  async keep(draft: string, record: SnapshotRecord, manifest: string): Promise<void> {
    writeFileSync(join(draft, "manifest"), manifest);
    writeFileSync(join(draft, "snapshot.json"), JSON.stringify(record));
    rmSync(join(draft, "maker"));
    await runOk(["sync", "-f", draft], { timeoutMs: 600_000 });
    await rename(draft, join(this.root, record.id));
    this.#verified.set(record.id, { digest: record.digest, at: Date.now() });
  }

  /**
   * Takes it out of sight by a rename, looks who stands on it, and puts it back where somebody does: who makes a sandbox on it writes that down before it looks
   * whether it is there. Throws `conflict`.
   */
  async remove(id: string, standingOn: () => string[]): Promise<"removed" | "absent"> {
    const [place, half] = [join(this.root, checked(id)), join(this.root, "drafts", id)];
    const there = [place, half].filter((path) => existsSync(path));
    for (const path of there) {
      const away = join(this.root, "drafts", `removed-${id}`);
      mkdirSync(join(this.root, "drafts"), { recursive: true, mode: 0o700 });
      await removeTree(away);
      await rename(path, away);
      const by = path === place ? standingOn() : [];
      if (by.length > 0) {
        await rename(away, path);
        refuseInUse(id, by);
      }
      await removeTree(away);
    }
    return there.length === 0 ? "absent" : "removed";
  }

  /**
   * Makes sure that a snapshot and its parents are what they were. Throws `not_found` where one is missing, and `backend_rejected` where anything in one
   * has changed.
   */
  async verify(id: string, digest: string | undefined): Promise<SnapshotRecord> {
    const record = this.find(id);
    if (digest !== undefined && digest !== record.digest) throw changed(id);
    for (const one of [record, ...record.parents.map((parent) => this.find(parent))]) await this.#check(one);
    return record;
  }

  async #check({ id, digest, bytes, entries }: SnapshotRecord): Promise<void> {
    const before = this.#verified.get(id);
    const small = bytes <= SMALL.bytes && entries <= SMALL.entries;
    if (!small && before?.digest === digest && Date.now() - before.at < VERIFIED_MS) return;
    const seen = await manifestOf(join(this.root, id, "fs"));
    if (seen.digest !== digest) throw changed(id);
    this.#verified.set(id, { digest, at: Date.now() });
  }

  /** Removes what makers that are dead have left; answers which sandboxes stood still for it. */
  async sweep(): Promise<string[]> {
    const still: string[] = [];
    for (const name of this.#drafts()) {
      const directory = join(this.root, "drafts", name);
      const maker = readMaker(directory);
      if (maker?.process !== undefined && isAlive(maker.process)) continue;
      if (typeof maker?.sandbox === "string") still.push(maker.sandbox);
      await removeTree(directory);
    }
    return still;
  }

  #read(id: string): SnapshotRecord | undefined {
    const file = join(this.root, checked(id), "snapshot.json");
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as SnapshotRecord) : undefined;
  }

  #ids(): string[] {
    return existsSync(this.root) ? readdirSync(this.root).filter((name) => name !== "drafts") : [];
  }

  #drafts(): string[] {
    const directory = join(this.root, "drafts");
    return existsSync(directory) ? readdirSync(directory) : [];
  }
}

/** Throws `conflict` where something stands on it. */
function refuseInUse(id: string, by: readonly string[]): void {
  if (by.length === 0) return;
  throw new SandboxerError("conflict", `snapshot ${id} is what ${by.slice(0, 5).join(", ")}${by.length > 5 ? ` and ${by.length - 5} more` : ""} come from`, {
    phase: "snapshot",
    hint: "End those sandboxes, or remove those snapshots, first: 'sand-boxer tree' shows who came from whom.",
  });
} // prettier-ignore

function changed(id: string): SandboxerError {
  return new SandboxerError("backend_rejected", `snapshot ${id} is not what it was when it was taken: something in it has changed`, {
    phase: "snapshot",
    hint: "Do not use it: look at the disk that holds the data directory, and take another one.",
  });
}

function readMaker(directory: string): Maker | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, "maker"), "utf8")) as Maker;
  } catch (error) {
    // Whole, and not renamed yet; or begun and not said by whom: both are nobody's after a crash.
    if (!isMissingOrHalf(error)) throw error;
    return undefined;
  }
}

/** Ids become parts of paths. */
function checked(id: string): string {
  if (/^[a-z0-9]{1,64}$/.test(id)) return id;
  throw new SandboxerError("invalid_request", `"${id}" is not the id of a snapshot`, { issues: [{ path: "id", message: "letters and digits" }] });
} // prettier-ignore
