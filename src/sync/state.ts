import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import type { Found, Known } from "./entry.ts";

/** What a sync ends with, beside what it knows. */
export interface SyncEnd {
  /** Names the ignore rules that held. */
  readonly rules: string;
  /** Names the listing of inside; "" where the next sync needs a whole one. */
  readonly listing: string;
  /** Whether the sandbox has the programs that a sync needs. */
  readonly tools: boolean;
  /** What was inside of that on which nothing was settled. */
  readonly unsettled: ReadonlyMap<string, Found | undefined>;
}

/** What the last sync of a directory with one inside saw, and what changes in that. */
export class SyncBook {
  readonly last: SyncEnd;
  /** Paths whose looks did not say all when they were written down. */
  readonly racy: ReadonlySet<string>;
  readonly #known: Map<string, Known>;
  readonly #touched = new Set<string>();
  readonly #file: string;
  readonly #lines: number;

  constructor(
    file: string,
    { last, known, racy, lines }: { last: SyncEnd; known: Map<string, Known>; racy: ReadonlySet<string>; lines: number },
  ) {
    this.#file = file;
    this.racy = racy;
    this.last = last;
    this.#known = known;
    this.#lines = lines;
  }

  get known(): ReadonlyMap<string, Known> {
    return this.#known;
  }

  set(path: string, known: Known): void {
    this.#touched.add(path);
    this.#known.set(path, known);
  }

  drop(path: string): void {
    if (this.#known.delete(path)) this.#touched.add(path);
  }

  /** Adds a line with what has changed; now and then the whole is written anew, whole or not at all. Nothing where nothing has. */
  write(end: SyncEnd): void {
    if (this.#touched.size === 0 && JSON.stringify(endOf(end)) === JSON.stringify(endOf(this.last))) return;
    if (this.#lines > 0 && this.#lines < LINES && this.#touched.size * 4 < this.#known.size) {
      const [set, dropped]: [string[], string[]] = [[], []];
      for (const path of this.#touched) {
        const known = this.#known.get(path);
        if (known === undefined) dropped.push(path);
        else set.push(...flat(path, known));
      }
      appendFileSync(this.#file, linesOf({ set, dropped }, end));
      return;
    }
    const set: string[] = [];
    for (const [path, known] of this.#known) set.push(...flat(path, known));
    writeFileSync(`${this.#file}.draft`, linesOf({ set, dropped: [] }, end), { mode: 0o600 });
    renameSync(`${this.#file}.draft`, this.#file);
  }
}

/** A write is two lines: what changed, then what the sync ended with, which is read before all the rest. */
interface Changes {
  readonly set: string[];
  readonly dropped: string[];
}

type End = Omit<SyncEnd, "unsettled"> & { readonly form: number; readonly unsettled: [path: string, found: Found | null][] };

function endOf({ rules, listing, tools, unsettled }: SyncEnd): End {
  return { form: FORM, rules, listing, tools, unsettled: [...unsettled].map(([path, found]) => [path, found ?? null]) };
}

function linesOf(changes: Changes, end: SyncEnd): string {
  return `${JSON.stringify(changes)}\n${JSON.stringify(endOf(end))}\n`;
}

function flat(path: string, { here, inside, held, heldInside }: Known): string[] {
  return [path, here, inside, held, heldInside === held ? "" : heldInside];
}

/** Lines before the whole is written anew. */
const LINES = 64;

const FORM = 1;

/** Those of sandboxes that nobody synced with for so long are thrown away; the sandboxes are long gone. */
const KEPT_MS = 90 * 86_400_000;

/** `$XDG_STATE_HOME/sand-boxer/sync`, or below ~/.local/state. */
export function defaultStateDirectory(): string {
  const { XDG_STATE_HOME: given } = process.env;
  return join(given !== undefined && given.startsWith("/") ? given : join(homedir(), ".local/state"), "sand-boxer/sync");
}

/** One file for a sandbox, a directory here and a directory inside: ids of sandboxes are unique whatever server has them. */
export function stateFile(directory: string, sandbox: string, here: string, inside: string): string {
  const pair = createHash("sha256")
    .update(JSON.stringify([here, inside]))
    .digest("hex")
    .slice(0, 24);
  return join(directory, `${sandbox}.${pair}.json`);
}

/**
 * What the last sync ended with, and a reader of all it saw. Empty where there was none.
 *
 * @throws SandboxerError `storage_unavailable` for what cannot be read.
 */
export function openBook(file: string): { readonly last: SyncEnd; readonly read: () => SyncBook } {
  const fresh: SyncEnd = { rules: "", listing: "", tools: false, unsettled: new Map() };
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw unreadable(file, cause);
    return { last: fresh, read: () => new SyncBook(file, { last: fresh, known: new Map(), racy: new Set(), lines: 0 }) };
  }
  const lines = text.split("\n");
  // A line ends with its mark: one without, or one without its second, was being written when its writer died.
  const torn = lines.pop() !== "" || lines.length % 2 === 1;
  if (lines.length % 2 === 1) lines.pop();
  const parsed = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      throw unreadable(file, cause);
    }
  };
  const last = parsed(() => {
    const { form, rules, listing, tools, unsettled } = JSON.parse(lines.at(-1) ?? "") as End;
    if (form !== FORM) throw new RangeError(`form ${form}`);
    const found = new Map(unsettled.map(([path, one]) => [path, one ?? undefined]));
    // Nothing is added behind half a line, and inside is then looked at as a whole.
    return { rules, listing: torn ? "" : listing, tools, unsettled: found };
  });
  const read = () => {
    const [known, racy] = [new Map<string, Known>(), new Set<string>()];
    for (let i = 0; i < lines.length; i += 2) apply(JSON.parse(lines[i] ?? "") as Changes, known, racy);
    return new SyncBook(file, { last, known, racy, lines: torn ? 0 : lines.length });
  };
  return { last, read: () => parsed(read) };
}

function apply({ set, dropped }: Changes, known: Map<string, Known>, racy: Set<string>): void {
  for (let i = 0; i + 4 < set.length; i += 5) {
    const [path = "", here = "", inside = "", held = "", other = ""] = [set[i], set[i + 1], set[i + 2], set[i + 3], set[i + 4]];
    known.set(path, { here, inside, held, heldInside: other === "" ? held : other });
    if (here.startsWith("?") || inside.startsWith("?")) racy.add(path);
    else if (racy.size > 0) racy.delete(path);
  }
  for (const path of dropped) {
    known.delete(path);
    racy.delete(path);
  }
}

function unreadable(file: string, cause: unknown): SandboxerError {
  return new SandboxerError("storage_unavailable", `what the last sync saw cannot be read from ${file}`, {
    phase: "sync",
    hint: "Remove it to start over: what differs on both sides is then a conflict, and nothing is overwritten.",
    cause,
  });
}

/**
 * Makes the directory, throws away what is old, and takes the pair for this process until it is given back.
 *
 * @throws SandboxerError `conflict` where another sync of the same pair is under way.
 */
export function takePair(directory: string, file: string): Disposable {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (name.endsWith(".json") && Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > KEPT_MS)
      rmSync(path, { force: true });
  }
  const lock = `${file}.lock`;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx", mode: 0o600 });
      return { [Symbol.dispose]: () => rmSync(lock, { force: true }) };
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw unreadable(file, thrown);
      const holder = holderOf(lock);
      if (holder !== undefined)
        throw new SandboxerError("conflict", `process ${holder} syncs this directory with this sandbox at the moment`, {
          phase: "sync",
          hint: "Wait until it is done.",
        });
      rmSync(lock, { force: true });
    }
  }
}

/** The process that has the lock; undefined where it is gone. */
function holderOf(lock: string): number | undefined {
  try {
    const pid = Number(readFileSync(lock, "utf8"));
    process.kill(pid, 0);
    return pid;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM" ? 0 : undefined;
  }
}
