import { type Hashes, verdicts } from "./compare.ts";
import { type Found, isNamed, type Known, parentOf } from "./entry.ts";
import type { SyncChange, SyncConflict, SyncOptions } from "./options.ts";
import { runByGit } from "./rules.ts";
import { stays } from "./tar/names.ts";

/** What goes one way. */
export interface Way {
  /** What is put, a directory before what is in it. */
  readonly put: { readonly path: string; readonly found: Found }[];
  /** What is removed, the deepest first. */
  readonly remove: { readonly path: string; readonly found: Found }[];
}

/** What a sync is going to do. */
export interface Plan {
  readonly push: Way;
  readonly pull: Way;
  readonly conflicts: SyncConflict[];
  readonly left: { here: number; inside: number };
  readonly refused: { path: string; reason: string }[];
  /** What is in step already, and what is as little settled as before. */
  readonly known: Map<string, Known>;
}

type Entries = ReadonlyMap<string, Found>;

interface Sides {
  readonly known: ReadonlyMap<string, Known>;
  readonly here: Entries;
  readonly inside: Entries;
  readonly hashes: { readonly here: Hashes; readonly inside: Hashes };
}

export function changeOf(before: Found | undefined, after: Found | undefined): SyncChange["change"] {
  return after === undefined ? "removed" : before === undefined ? "created" : "modified";
}

/** Why something of inside is not put here. */
function unwelcome(path: string, found: Found | undefined): string | undefined {
  if (runByGit(path)) return "git runs what it says, so it is never taken from inside";
  if (found?.type !== "l") return undefined;
  return stays(Buffer.from(found.target).toString("latin1"), path.split("/").length - 1)
    ? undefined
    : `it is a symlink to "${found.target}", which leads or may lead out of the directory`;
}

/** Decides every path. Nothing is touched that the other side has changed since the last sync, but where a name says whose version wins. */
export function planSync({ known, here, inside, hashes }: Sides, { direction = "both", ours = [], theirs = [] }: SyncOptions): Plan {
  const ways = { push: new Map<string, Found | undefined>(), pull: new Map<string, Found | undefined>() };
  const plan: Plan = {
    push: { put: [], remove: [] },
    pull: { put: [], remove: [] },
    conflicts: [],
    left: { here: 0, inside: 0 },
    refused: [],
    known: new Map(),
  };
  const conflict = (path: string) => {
    const before = known.get(path) === undefined ? undefined : (here.get(path) ?? inside.get(path));
    plan.conflicts.push({ path, here: changeOf(before, here.get(path)), inside: changeOf(before, inside.get(path)) });
  };
  for (const one of verdicts(known, here, inside, hashes)) {
    const { path, verdict } = one;
    if (verdict.what === "forget") continue;
    if (verdict.what === "keep") {
      plan.known.set(path, verdict.known);
      continue;
    }
    if (one.known !== undefined) plan.known.set(path, one.known);
    let way = verdict.what;
    if (way === "unsteady") {
      plan.refused.push({ path, reason: "it changed while it was looked at; sync again" });
      continue;
    }
    if (way === "conflict" && isNamed(path, ours)) way = "push";
    else if (way === "conflict" && isNamed(path, theirs)) way = "pull";
    if (way === "conflict") conflict(path);
    else if (way === "push" && direction !== "pull") ways.push.set(path, one.here);
    else if (way === "pull" && direction !== "push") {
      const reason = unwelcome(path, one.inside);
      if (reason === undefined) ways.pull.set(path, one.inside);
      else plan.refused.push({ path, reason });
    } else plan.left[way === "push" ? "here" : "inside"]++;
  }
  settle(ways.push, inside, conflict, plan.push);
  settle(ways.pull, here, conflict, plan.pull);
  return plan;
}

/**
 * Puts one way's changes in order, without those that would take along what nobody decided about: a file over a directory in which
 * something stays, or something in a directory that is none on the other side.
 */
function settle(changes: Map<string, Found | undefined>, target: Entries, conflict: (path: string) => void, way: Way): void {
  const held = heldBack(changes, target);
  for (const path of held) {
    changes.delete(path);
    conflict(path);
  }
  const lasting = new Set<string>();
  const lasts = (path: string) => {
    for (let at = parentOf(path); at !== "" && !lasting.has(at); at = parentOf(at)) lasting.add(at);
  };
  for (const path of target.keys()) if (!changes.has(path) || changes.get(path) !== undefined) lasts(path);
  for (const [path, found] of changes) if (found !== undefined) lasts(path);
  for (const [path, found] of changes) {
    const before = target.get(path);
    if (found !== undefined) way.put.push({ path, found });
    else if (before !== undefined && !(before.type === "d" && lasting.has(path))) way.remove.push({ path, found: before });
  }
  way.put.sort(byPath);
  way.remove.sort(byPath).reverse();
}

function heldBack(changes: ReadonlyMap<string, Found | undefined>, target: Entries): Set<string> {
  const held = new Set<string>();
  // What stays below each directory of the target: nothing may take a directory's place in which something does.
  const staying = new Set<string>();
  for (const path of target.keys()) {
    if (changes.has(path) && changes.get(path) === undefined) continue;
    for (let at = parentOf(path); at !== "" && !staying.has(at); at = parentOf(at)) staying.add(at);
  }
  for (const [path, found] of changes)
    if (found !== undefined && found.type !== "d" && target.get(path)?.type === "d" && staying.has(path)) held.add(path);
  for (const [path, found] of changes) {
    for (let at = parentOf(path); at !== ""; at = parentOf(at)) {
      const there = target.get(at);
      const becomes = changes.has(at) && !held.has(at) ? changes.get(at) : there;
      if (held.has(at) || (found !== undefined && there !== undefined && becomes?.type !== "d")) {
        held.add(path);
        break;
      }
    }
  }
  return held;
}

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
