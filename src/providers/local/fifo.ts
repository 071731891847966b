import { chownSync, closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { O_PATH } from "./reopen.ts";
import { runOk } from "./run.ts";

/**
 * Pipes for a command's input and output. Node's own are sockets, which a program inside cannot open as /dev/stderr; and a pipe that
 * belongs to the host's root is refused to it. These are FIFOs made ahead in batches, given to the sandbox's user, and
 * unlinked as soon as both ends are open.
 */
const BATCH = 64;

/** A process that runs one command and ends needs two. */
const FIRST_BATCH = 4;

/** With fewer left the next batch is made, beside the commands. */
const FEW = 16;

export interface Pipe {
  /** The end of this process; does not block. */
  readonly ours: number;
  /** The end of the command; blocks, as programs expect. */
  readonly theirs: number;
}

export class FifoPool {
  readonly #directory: string;
  readonly #ready: string[] = [];
  /** With the time a pid names one process for all time. */
  readonly #prefix = `${process.pid}-${Date.now().toString(36)}`;
  #made = 0;
  #making: Promise<void> | undefined;

  /** Its names are this process's own; those that a dead process left are removed. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directory = directory;
  }

  /** Makes the first pipes beside other work: a command will come soon. */
  prepare(): void {
    // Whoever finds none meets the error.
    if (this.#made === 0) this.#make().catch(() => undefined);
  }

  /** Opens a pipe for output that belongs to that host user. About 0.05 ms; a batch of 64 costs one program. */
  async open(uid: number): Promise<Pipe> {
    const path = await this.#take(uid);
    // A reader without a writer may open at once if it does not block; the writer then finds its reader.
    const ours = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const theirs = openSync(path, constants.O_WRONLY);
    unlinkSync(path);
    return { ours, theirs };
  }

  /** The same for a command's input; `name` is for {@link admitReaders}. */
  async openInput(uid: number): Promise<Pipe & { readonly name: number }> {
    const path = await this.#take(uid);
    // A writer that does not block needs a reader, and the command's end must block: so one reader only opens the door.
    const door = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const ours = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const theirs = openSync(path, constants.O_RDONLY);
    closeSync(door);
    const name = openSync(path, O_PATH);
    unlinkSync(path);
    return { ours, theirs, name };
  }

  async #take(uid: number): Promise<string> {
    while (this.#ready.length === 0) await this.#make();
    const path = this.#ready.pop() ?? "";
    // Whoever finds none left meets the error.
    if (this.#ready.length === FEW) this.#make().catch(() => undefined);
    if (uid !== process.getuid?.()) chownSync(path, uid, uid);
    return path;
  }

  #make(): Promise<void> {
    this.#making ??= this.#makeBatch().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #makeBatch(): Promise<void> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const length = this.#made === 0 ? FIRST_BATCH : BATCH;
    const paths = Array.from({ length }, () => join(this.#directory, `${this.#prefix}-${this.#made++}`));
    await runOk(["mkfifo", "-m", "600", "--", ...paths]);
    this.#ready.push(...paths);
  }

  /** Removes the names that are left. */
  dispose(): void {
    for (const path of this.#ready.splice(0)) unlinkSync(path);
  }

  /** Removes the names that processes which do not run any more have left. */
  sweep(): void {
    for (const name of readdirSync(this.#directory)) {
      if (!existsSync(`/proc/${name.split("-")[0]}`)) unlinkSync(join(this.#directory, name));
    }
  }
}
