import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import type { Known } from "./entry.ts";

/** What the last sync of a directory with one inside saw. */
export interface SyncState {
  /** Names the ignore rules that held. */
  readonly rules: string;
  /** Names the listing of inside, where all in it was taken in; else empty. */
  readonly listing: string;
  /** Whether the sandbox has the programs that a sync needs. */
  readonly tools: boolean;
  readonly known: Map<string, Known>;
}

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

/** Empty where there was no sync; throws `storage_unavailable` for what cannot be read. */
export function readState(file: string): SyncState {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return { rules: "", listing: "", tools: false, known: new Map() };
    throw unreadable(file, cause);
  }
  try {
    const read = JSON.parse(text) as { form: number; rules: string; listing: string; tools: boolean; known: string[] };
    if (read.form !== FORM) throw new RangeError(`form ${read.form}`);
    const known = new Map<string, Known>();
    for (let i = 0; i + 4 < read.known.length; i += 5) {
      const [path = "", here = "", inside = "", held = "", heldInside = ""] = read.known.slice(i, i + 5);
      known.set(path, { here, inside, held, heldInside: heldInside === "" ? held : heldInside });
    }
    return { rules: read.rules, listing: read.listing, tools: read.tools, known };
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): SandboxerError {
  return new SandboxerError("storage_unavailable", `what the last sync saw cannot be read from ${file}`, {
    phase: "sync",
    hint: "Remove it to start over: what differs on both sides is then a conflict, and nothing is overwritten.",
    cause,
  });
}

/** Whole or not at all. */
export function writeState(file: string, { rules, listing, tools, known }: SyncState): void {
  const flat: string[] = [];
  for (const [path, { here, inside, held, heldInside }] of known)
    flat.push(path, here, inside, held, heldInside === held ? "" : heldInside);
  writeFileSync(`${file}.draft`, JSON.stringify({ form: FORM, rules, listing, tools, known: flat }), { mode: 0o600 });
  renameSync(`${file}.draft`, file);
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
