import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isBeingMade } from "../being-made.ts";
import { identify } from "../process-tree.ts";
import { discardNamespaces, holdNamespace, isNamespace, makeNamespace } from "./namespace.ts";

export interface NamespacePoolOptions {
  readonly directory: string;
  /** Kept ready once one was asked for; 0: none. */
  readonly depth: number;
  /** Told what goes wrong beside the hot path. */
  readonly onError: (error: unknown) => void;
}

/**
 * Network namespaces for sandboxes with egress. Each stays mounted at `mounts/<name>`; what moves is a marker: `making/<name>` (who
 * makes it), `ready/<name>`, `live/<name>.<sandbox>`, `bin/<name>`. Every step is one rename, so that several processes can share
 * a pool and a crash leaves none in two places. Where no sandbox ever had egress nothing of this is on disk.
 */
export class NamespacePool {
  readonly #options: NamespacePoolOptions;
  #making: Promise<void> | undefined;
  /** Claims that found none ready. */
  #waiting = 0;
  #stays = false;
  #usedUp = false;

  constructor(options: NamespacePoolOptions) {
    this.#options = options;
  }

  /** A prepared namespace, now the sandbox's: about 0.1 ms, or some 20 ms where none is ready. Answers the path of its mount. */
  async claim(sandboxId: string): Promise<string> {
    this.#open();
    for (;;) {
      const name = this.#take(sandboxId);
      if (name !== undefined) {
        this.#usedUp = this.#names("ready").length === 0;
        if (this.#stays) void this.#fill(this.#options.depth / 2).catch(this.#options.onError);
        return this.#path("mounts", name);
      }
      this.#waiting++;
      try {
        await this.#make(this.#waiting);
      } finally {
        this.#waiting--;
      }
    }
  }

  /** The namespace that a sandbox's process is in, made into one with egress: some 20 ms. For a runtime that cannot join a prepared one. */
  async hold(sandboxId: string, pid: number): Promise<string> {
    this.#open();
    const name = newName();
    writeFileSync(this.#path("live", `${name}.${sandboxId}`), "", { flag: "wx", mode: 0o600 });
    await holdNamespace(this.#path("mounts", name), pid);
    return this.#path("mounts", name);
  }

  #open(): void {
    for (const place of ["", "mounts", "making", "ready", "live", "bin"]) mkdirSync(this.#path(place), { recursive: true, mode: 0o711 });
  }

  #take(sandboxId: string): string | undefined {
    for (const name of this.#names("ready")) {
      // Prepared before the last boot.
      const good = isNamespace(this.#path("mounts", name));
      if (this.#move(["ready", name], good ? ["live", `${name}.${sandboxId}`] : ["bin", name]) && good) return name;
    }
    return undefined;
  }

  /** The namespaces in use: their mounts, by sandbox. Throws where the directory cannot be read. */
  live(): Map<string, string> {
    const found = new Map<string, string>();
    for (const entry of this.#names("live")) {
      const [name = "", sandboxId = ""] = entry.split(".");
      found.set(sandboxId, this.#path("mounts", name));
    }
    return found;
  }

  /** Takes it from the sandbox; it is unmounted with {@link emptyBin}. Safe to repeat. */
  release(sandboxId: string): void {
    for (const entry of this.#names("live")) {
      const [name = "", owner] = entry.split(".");
      if (owner === sandboxId) this.#move(["live", entry], ["bin", name]);
    }
    if (this.#stays) void this.emptyBin().catch(this.#options.onError);
  }

  /** Unmounts what was released: about 2 ms for all of them. */
  async emptyBin(): Promise<void> {
    await this.#discard("bin", this.#names("bin"));
  }

  async #discard(place: string, names: readonly string[]): Promise<void> {
    await discardNamespaces(names.map((name) => this.#path("mounts", name)));
    // The marker last: as long as anything of it is there, it is known.
    for (const name of names) await rm(this.#path(place, name), { force: true });
  }

  /** Throws away what is not used, and fills up where sandboxes have egress or some are prepared. */
  async maintain(): Promise<void> {
    this.#stays = true;
    for (const name of this.#names("ready")) if (!isNamespace(this.#path("mounts", name))) this.#move(["ready", name], ["bin", name]);
    await this.emptyBin();
    const abandoned = this.#names("making").filter((name) => !isBeingMade(this.#path("making", name)));
    await this.#discard("making", abandoned);
    if (this.#names("live").length + this.#names("ready").length > 0) await this.#fill(this.#options.depth);
  }

  /** For a process that ends after its command: prepares some where it took the last one. */
  async refillUsedUp(): Promise<void> {
    if (this.#usedUp && !this.#stays) await this.#fill(this.#options.depth);
    this.#usedUp = false;
  }

  async #fill(from: number): Promise<void> {
    const ready = this.#names("ready").length;
    if (ready < from) await this.#make(this.#options.depth - ready);
  }

  /** One batch at a time; who comes while it runs waits for it, and looks again. */
  #make(count: number): Promise<void> {
    this.#making ??= this.#makeBatch(count).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeBatch(count: number): Promise<void> {
    for (let made = 0; made < count; made++) {
      const name = newName();
      writeFileSync(this.#path("making", name), JSON.stringify(identify(process.pid)), { flag: "wx", mode: 0o600 });
      try {
        await makeNamespace(this.#path("mounts", name));
      } catch (error) {
        await rm(this.#path("making", name), { force: true });
        throw error;
      }
      this.#move(["making", name], ["ready", name]);
    }
  }

  /** False where another process moved it first. */
  #move(from: readonly string[], to: readonly string[]): boolean {
    try {
      renameSync(this.#path(...from), this.#path(...to));
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
      throw error;
    }
  }

  #names(place: string): string[] {
    try {
      return readdirSync(this.#path(place));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw error;
    }
  }

  #path(...parts: string[]): string {
    return join(this.#options.directory, ...parts);
  }
}

function newName(): string {
  return randomBytes(8).toString("hex");
}
