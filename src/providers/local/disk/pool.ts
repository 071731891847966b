import { chownSync, mkdirSync, readdirSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";
import { isBeingMade } from "../being-made.ts";
import { identify } from "../process-tree.ts";
import { discardDisk, makeTemplate, mountAgain, mountDisk, mountPoints } from "./image.ts";
import { idBase, MAX_SLOTS, parseSlotName, type Quota, type Slot, slotName, WRITABLE } from "./slot.ts";

/** Host bytes below which no sandbox is made: a full host disk hurts every sandbox that runs. */
const KEEP_FREE_BYTES = 256 * 1024 ** 2;

export interface PoolOptions {
  readonly directory: string;
  /** Whether each slot has a disk of its own. Without, the writable places are tmpfs inside the sandbox, and a slot is only its ids. */
  readonly disks: boolean;
  /** Slots kept ready for each quota in use. */
  readonly depth: number;
  /** The uid inside who owns the writable directories. */
  readonly owner: number;
  /** Told what goes wrong beside the hot path. */
  readonly onError: (error: unknown) => void;
}

/**
 * Slots. Their disks stay in `disks/<number>`; what moves is a marker: `ready/<quota>/<number>`, then
 * `live/<number>.<sandbox>`, then `bin/<number>.<sandbox>` until it is thrown away. Every step is one rename, so that
 * several processes can share a pool and a crash leaves no slot in two places.
 */
export class SlotPool {
  readonly #options: PoolOptions;
  readonly #making = new Map<string, Promise<void>>();
  #emptying: Promise<void> | undefined;
  #stays = false;
  /** The quota whose last prepared slot this process took, where nobody here refills it at intervals. */
  #usedUp: Quota | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    for (const name of ["", "ready", "live", "bin", "numbers", "disks", "templates"]) {
      mkdirSync(this.#path(name), { recursive: true, mode: 0o711 });
    }
  }

  /** Whether each slot has a disk of its own. */
  get disks(): boolean {
    return this.#options.disks;
  }

  /** After a reboot the disks of prepared slots are not mounted: those slots are thrown away. Call once at start. */
  async recover(): Promise<void> {
    if (!this.#options.disks) return;
    const mounted = mountPoints();
    for (const key of await readdir(this.#path("ready"))) {
      for (const name of await readdir(this.#path("ready", key))) {
        if (!mounted.has(this.#path("disks", name))) await this.#discardReady(key, name);
      }
    }
  }

  async #discardReady(key: string, name: string): Promise<void> {
    try {
      await rename(this.#path("ready", key, name), this.#path("bin", slotName(Number(name), "unmounted")));
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
  }

  /** A prepared slot, now the sandbox's: about 0.1 ms, or some 30 ms where none is ready. Throws `storage_unavailable` on a full host disk. */
  async claim(sandboxId: string, quota: Quota): Promise<Slot> {
    const { bavail, bsize } = statfsSync(this.#options.directory);
    if (bavail * bsize < KEEP_FREE_BYTES) {
      throw new SandboxerError("storage_unavailable", "less than 256 MiB are free on the disk that holds the sandboxes", {
        phase: "create",
      });
    }
    for (;;) {
      const slot = this.#take(quotaKey(quota), sandboxId);
      if (slot !== undefined) {
        this.#inBackground(() => this.#fill(quota));
        if (this.#readyNames(quotaKey(quota)).length === 0) this.#usedUp = quota;
        return slot;
      }
      await this.#make(quota, 1);
    }
  }

  /** Work beside the hot path, in a process that stays: one that ends after a command leaves it to the next sweep. */
  #inBackground(work: () => Promise<void>): void {
    if (this.#stays) void work().catch(this.#options.onError);
  }

  /**
   * For a process that ends after its command: prepares slots where it took the last one, so that one command in several waits
   * for that at its end, and none at its start. Does nothing in a process that stays.
   */
  async refillUsedUp(): Promise<void> {
    const quota = this.#usedUp;
    if (quota === undefined || this.#stays) return;
    this.#usedUp = undefined;
    await this.#fill(quota);
  }

  async #fill(quota: Quota): Promise<void> {
    const missing = this.#options.depth - this.#readyNames(quotaKey(quota)).length;
    if (missing > this.#options.depth / 2) await this.#make(quota, missing);
  }

  #take(key: string, sandboxId: string): Slot | undefined {
    for (const name of this.#readyNames(key)) {
      try {
        renameSync(this.#path("ready", key, name), this.#path("live", slotName(Number(name), sandboxId)));
      } catch (error) {
        // Another process took it first.
        if (isErrno(error, "ENOENT")) continue;
        throw error;
      }
      return this.#slot(Number(name));
    }
    return undefined;
  }

  #readyNames(key: string): string[] {
    try {
      return readdirSync(this.#path("ready", key));
    } catch (error) {
      if (isErrno(error, "ENOENT")) return [];
      throw error;
    }
  }

  #slot(number: number): Slot {
    return { number, directory: this.#options.disks ? this.#path("disks", String(number)) : undefined };
  }

  /** The slots in use, by sandbox. Throws where the directory cannot be read. */
  live(): Map<string, Slot> {
    const slots = new Map<string, Slot>();
    for (const name of readdirSync(this.#path("live"))) {
      const parsed = parseSlotName(name);
      if (parsed !== undefined) slots.set(parsed.sandboxId, this.#slot(parsed.number));
    }
    return slots;
  }

  /**
   * The slot that a sandbox has kept, its disk mounted: after a reboot it is not. A disk that is gone, or that this host no longer knows to
   * be the sandbox's, is an empty one from then on.
   */
  async reopen(sandboxId: string, number: number, quota: Quota): Promise<Slot> {
    const slot = this.live().get(sandboxId);
    if (slot === undefined || slot.number !== number) return slot ?? this.claim(sandboxId, quota);
    const disk = this.#path("disks", String(number));
    if (slot.directory === undefined || mountPoints().has(disk)) return slot;
    if (await exists(`${disk}.img`)) await mountAgain(`${disk}.img`, disk);
    else {
      const template = this.#path("templates", `${quotaKey(quota)}.img`);
      if (!(await exists(template))) await makeTemplate(template, quota);
      await mountDisk(template, `${disk}.img`, disk, number, this.#options.owner);
    }
    return slot;
  }

  /** Gives the writable directories to another user inside than the usual one. */
  giveTo(slot: Slot, uid: number): void {
    if (slot.directory === undefined || uid === this.#options.owner) return;
    for (const name of Object.keys(WRITABLE)) chownSync(join(slot.directory, name), idBase(slot.number) + uid, idBase(slot.number) + uid);
  }

  /** Takes the slot from the sandbox; its disk goes with {@link emptyBin}. Safe to repeat. */
  release(slot: Slot, sandboxId: string): void {
    const name = slotName(slot.number, sandboxId);
    try {
      renameSync(this.#path("live", name), this.#path("bin", name));
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
    }
    this.#inBackground(() => this.emptyBin());
  }

  /** Throws away the disks of released slots, one after the other: about 3 ms each, whatever is on them. */
  emptyBin(): Promise<void> {
    this.#emptying ??= this.#discardReleased().finally(() => {
      this.#emptying = undefined;
    });
    return this.#emptying;
  }

  async #discardReleased(): Promise<void> {
    for (let names = await readdir(this.#path("bin")); names.length > 0; names = await readdir(this.#path("bin"))) {
      for (const name of names) {
        const number = parseSlotName(name)?.number;
        if (number !== undefined) {
          // Also where this process makes none: the slot may be from before that was so.
          await discardDisk(this.#path("disks", `${number}.img`), this.#path("disks", String(number)));
        }
        // The number is free only when nothing of it is left; two processes that empty the bin do the same thing twice.
        if (number !== undefined) await rm(this.#path("numbers", String(number)), { force: true });
        await rm(this.#path("bin", name), { force: true });
      }
    }
  }

  /** Empties the bin, fills up each quota in use to {@link PoolOptions.depth}, and gives back numbers that lead nowhere. */
  async maintain(): Promise<void> {
    this.#stays = true;
    await this.emptyBin();
    for (const key of await readdir(this.#path("ready"))) {
      const quota = parseQuotaKey(key);
      const missing = this.#options.depth - this.#readyNames(key).length;
      if (quota !== undefined && missing > 0) await this.#make(quota, missing);
    }
    await this.#freeAbandonedNumbers();
  }

  async #freeAbandonedNumbers(): Promise<void> {
    const used = new Set<string>();
    for (const key of await readdir(this.#path("ready"))) for (const name of await readdir(this.#path("ready", key))) used.add(name);
    for (const place of ["live", "bin"]) for (const name of await readdir(this.#path(place))) used.add(String(parseSlotName(name)?.number));
    for (const number of await readdir(this.#path("numbers"))) {
      if (used.has(number) || isBeingMade(this.#path("numbers", number))) continue;
      await discardDisk(this.#path("disks", `${number}.img`), this.#path("disks", number));
      await unlink(this.#path("numbers", number));
    }
  }

  /** One batch a quota at a time; who comes while it runs waits for it. */
  #make(quota: Quota, count: number): Promise<void> {
    const key = quotaKey(quota);
    const running = this.#making.get(key);
    if (running !== undefined) return running;
    const making = this.#makeBatch(key, quota, count).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  async #makeBatch(key: string, quota: Quota, count: number): Promise<void> {
    await mkdir(this.#path("ready", key), { recursive: true, mode: 0o711 });
    const template = this.#path("templates", `${key}.img`);
    if (this.#options.disks && !(await exists(template))) await makeTemplate(template, quota);
    const numbers = this.#reserveNumbers(count);
    // The kernel sets loop devices up one after the other; two at a time hide the copying.
    const lanes = [numbers.filter((_, i) => i % 2 === 0), numbers.filter((_, i) => i % 2 === 1)];
    await Promise.all(
      lanes.map(async (lane) => {
        for (const number of lane) {
          const disk = this.#path("disks", String(number));
          if (this.#options.disks) await mountDisk(template, `${disk}.img`, disk, number, this.#options.owner);
          await writeFile(this.#path("ready", key, String(number)), "");
        }
      }),
    );
  }

  #reserveNumbers(count: number): number[] {
    const taken = new Set(readdirSync(this.#path("numbers")));
    const numbers: number[] = [];
    for (let number = 0; number < MAX_SLOTS && numbers.length < count; number++) {
      if (taken.has(String(number))) continue;
      try {
        writeFileSync(this.#path("numbers", String(number)), JSON.stringify(identify(process.pid)), { flag: "wx", mode: 0o600 });
        numbers.push(number);
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
      }
    }
    if (numbers.length === 0)
      throw new SandboxerError("quota_exceeded", `all ${MAX_SLOTS} slots of this data directory are in use`, { phase: "create" });
    return numbers;
  }

  #path(...parts: string[]): string {
    return join(this.#options.directory, ...parts);
  }
}

/** Bytes and inodes that a slot's sandbox uses on its disk; undefined where it has none. */
export function diskUsage(slot: Slot): { bytes: number; inodes: number } | undefined {
  if (slot.directory === undefined) return undefined;
  const { blocks, bfree, bsize, files, ffree } = statfsSync(slot.directory);
  return { bytes: (blocks - bfree) * bsize, inodes: files - ffree };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function quotaKey(quota: Quota): string {
  return `${quota.bytes}-${quota.inodes}`;
}

function parseQuotaKey(key: string): Quota | undefined {
  const match = /^(\d+)-(\d+)$/.exec(key);
  return match === null ? undefined : { bytes: Number(match[1]), inodes: Number(match[2]) };
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
