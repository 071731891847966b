import { type Both, type Hashes, verdictOf } from "./compare.ts";
import { type Found, isNamed, parentOf, type Side } from "./entry.ts";
import type { SyncChange, SyncConflict, SyncOptions } from "./options.ts";
import { runByGit } from "./rules.ts";
import type { SyncBook } from "./state.ts";
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
  /** What is inside of that on which nothing was settled: it is not as the book has it. */
  readonly unsettled: Map<string, Found | undefined>;
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

/**
 * Decides each path that is not as the book has it, and writes down in it what is in step. Nothing is to be touched that the other side has
 * changed since the last sync, but where a name says whose version wins.
 */
export function planSync(
  {
    paths,
    book,
    here,
    inside,
    hashes,
  }: { paths: readonly Both[]; book: SyncBook; here: Side; inside: Side; hashes: { readonly here: Hashes; readonly inside: Hashes } },
  { direction = "both", ours = [], theirs = [] }: SyncOptions,
): Plan {
  const ways = { push: new Map<string, Found | undefined>(), pull: new Map<string, Found | undefined>() };
  const none = (): Way => ({ put: [], remove: [] });
  const plan: Plan = { push: none(), pull: none(), conflicts: [], left: { here: 0, inside: 0 }, refused: [], unsettled: new Map() };
  const conflict = (path: string) => {
    const [ourOwn, theirOwn] = [here.get(path), inside.get(path)];
    const before = book.known.has(path) ? (ourOwn ?? theirOwn) : undefined;
    plan.conflicts.push({ path, here: changeOf(before, ourOwn), inside: changeOf(before, theirOwn) });
    plan.unsettled.set(path, theirOwn);
  };
  const refuse = (one: Both, reason: string) => {
    plan.refused.push({ path: one.path, reason });
    plan.unsettled.set(one.path, one.inside);
  };
  for (const one of paths) {
    const { path } = one;
    const verdict = verdictOf(one, hashes);
    if (verdict.what === "forget") book.drop(path);
    else if (one.here?.type === "x" || one.inside?.type === "x") refuse(one, "it is neither a file, a directory nor a symlink");
    else if (verdict.what === "keep") book.set(path, verdict.known);
    else if (verdict.what === "unsteady") refuse(one, "it changed while it was looked at; sync again");
    else {
      let way = verdict.what;
      if (way === "conflict" && isNamed(path, ours)) way = "push";
      else if (way === "conflict" && isNamed(path, theirs)) way = "pull";
      if (way === "conflict") conflict(path);
      else if (way === "push" && direction !== "pull") ways.push.set(path, one.here);
      else if (way === "pull" && direction !== "push") {
        const reason = unwelcome(path, one.inside);
        if (reason === undefined) ways.pull.set(path, one.inside);
        else refuse(one, reason);
      } else {
        plan.left[way === "push" ? "here" : "inside"]++;
        plan.unsettled.set(path, one.inside);
      }
    }
  }
  const skipped = (path: string) => void plan.unsettled.set(path, inside.get(path));
  settle(ways.push, here, inside, { conflict, skipped }, plan.push);
  settle(ways.pull, inside, here, { conflict, skipped }, plan.pull);
  plan.conflicts.sort(byPath);
  return plan;
}

/**
 * Puts one way's changes in order, without those that would take along what nobody decided about: a file over a directory in which
 * something stays, or something in a directory that is none on the other side.
 */
function settle(
  changes: Map<string, Found | undefined>,
  source: Side,
  target: Side,
  say: { conflict: (path: string) => void; skipped: (path: string) => void },
  way: Way,
): void {
  const staying = takesAway(changes, target) ? parentsOfWhatStays(changes, target) : new Set<string>();
  const held = heldBack(changes, target, staying);
  for (const path of held) {
    changes.delete(path);
    say.conflict(path);
  }
  const lasting = new Set(staying);
  for (const [path, found] of changes) if (found !== undefined) addParents(path, lasting);
  for (const path of held) addParents(path, lasting);
  for (const [path, found] of changes) {
    const before = target.get(path);
    if (found !== undefined) way.put.push({ path, found });
    else if (before !== undefined && before.type === "d" && lasting.has(path)) say.skipped(path);
    else if (before !== undefined) way.remove.push({ path, found: before });
  }
  // A directory that the target has not, or not any more, goes along as it is, and not as whoever unpacks would make it.
  const missing = new Set<string>();
  for (const { path } of way.put) addParents(path, missing);
  for (const path of missing) {
    const found = changes.has(path) || target.get(path) !== undefined ? undefined : source.get(path);
    if (found?.type === "d") way.put.push({ path, found });
  }
  way.put.sort(byPath);
  way.remove.sort(byPath).reverse();
}

/** Whether a directory of the target's is to go, or to give way: only then it matters what stays in it. */
function takesAway(changes: ReadonlyMap<string, Found | undefined>, target: Side): boolean {
  for (const [path, found] of changes) if (found?.type !== "d" && target.get(path)?.type === "d") return true;
  return false;
}

function addParents(path: string, to: Set<string>): void {
  for (let at = parentOf(path); at !== "" && !to.has(at); at = parentOf(at)) to.add(at);
}

/** Every directory of the target's in which something stays. */
function parentsOfWhatStays(changes: ReadonlyMap<string, Found | undefined>, target: Side): Set<string> {
  const staying = new Set<string>();
  for (const path of target.keys()) if (!changes.has(path) || changes.get(path) !== undefined) addParents(path, staying);
  return staying;
}

function heldBack(changes: ReadonlyMap<string, Found | undefined>, target: Side, staying: ReadonlySet<string>): Set<string> {
  const held = new Set<string>();
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
