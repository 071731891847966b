import { createHash } from "node:crypto";
import { createReadStream, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import type { Sandbox } from "../sdk/index.ts";
import { questionsOf } from "./compare.ts";
import { type Found, identityOf, type Known, MODE, type Side, systemPath } from "./entry.ts";
import { lookHere } from "./here.ts";
import { InsideByFiles } from "./inside-by-files.ts";
import { type Inside, InsideByTools, type Listing, MissingTools } from "./inside.ts";
import type { SyncChange, SyncOptions, SyncReport } from "./options.ts";
import { changeOf, type Plan, planSync } from "./plan.ts";
import { Receiver } from "./receive.ts";
import { Rules } from "./rules.ts";
import { type Sent, tarOf } from "./send.ts";
import { defaultStateDirectory, readState, stateFile, type SyncState, takePair, writeState } from "./state.ts";

/**
 * Brings a directory here and one inside a sandbox in step: what changed on one side since their last sync goes to the other, removals
 * too, and nothing else travels. What both sides changed is a conflict: it is reported, and neither is touched. Where both are as they
 * were it costs a stat of each file here and one exec inside.
 *
 * @throws SandboxerError `file_not_found` or `file_denied` where a side cannot be read whole, `file_conflict` where something inside
 * changed while it was synced, `conflict` where another sync of the pair is under way, and what the sandbox's own calls throw.
 */
export async function sync(sandbox: Sandbox, directory: string, options: SyncOptions = {}): Promise<SyncReport> {
  const began = performance.now();
  const { to = ".", direction = "both", dryRun = false, stateDirectory = defaultStateDirectory(), signal } = options;
  const root = realDirectory(directory);
  const file = stateFile(stateDirectory, sandbox.id, root, to);
  using _pair = takePair(stateDirectory, file);
  const state = readState(file);

  const looking = beginListing(sandbox, to, state, options);
  // It is waited for below; a failure of our own side first must not leave it unheard.
  looking.catch(() => undefined);
  const { side: here, rules } = await lookAtOwn(root, state, options);
  const { inside: tools, listing } = await looking;
  const theirs = listing.unchanged ? sideOf(state.known) : listing.side;
  const inside = withoutIgnored(theirs, rules, rules.digest === state.rules ? state.known : new Map());

  const asked = questionsOf(state.known, here.entries, inside.entries);
  const hashes = { inside: await tools.hashes(asked.inside), here: await hashesHere(root, asked.here) };
  const plan = planSync({ known: state.known, here: here.entries, inside: inside.entries, hashes }, options);
  for (const path of [...here.special, ...inside.special])
    plan.refused.push({ path, reason: "it is neither a file, a directory nor a symlink" });

  const done = { pushed: [] as SyncChange[], pulled: [] as SyncChange[] };
  const receiver = new Receiver(
    root,
    here.entries,
    join(stateDirectory, "backups", `${new Date().toISOString().replaceAll(":", "-")}-${sandbox.id}`),
  );
  if (dryRun) {
    done.pushed.push(...changesOf(plan.push, inside.entries));
    done.pulled.push(...changesOf(plan.pull, here.entries));
  } else {
    const name = listing.unchanged ? state.listing : listing.name;
    const keep = (changed: boolean) => {
      const whole = !changed && plan.conflicts.length === 0 && plan.left.here + plan.left.inside + plan.refused.length === 0;
      const after = { rules: rules.digest, listing: whole ? name : "", tools: tools instanceof InsideByTools, known: plan.known };
      if (changed || !listing.unchanged || asked.here.length + asked.inside.length > 0 || after.rules !== state.rules)
        writeState(file, after);
    };
    let moved = false;
    try {
      moved = plan.push.put.length + plan.push.remove.length + plan.pull.put.length + plan.pull.remove.length > 0;
      await push(sandbox, { root, to, plan, before: inside.entries, tools, done: done.pushed, signal });
      await pull({ plan, before: here.entries, tools, receiver, done: done.pulled });
    } finally {
      // Also after a failure: what has gone over has.
      keep(moved);
    }
  }
  const { conflicts, left, refused } = plan;
  return {
    direction, dry_run: dryRun, ...done, conflicts, left, refused, backup: receiver.backup, duration_ms: Math.round((performance.now() - began) * 10) / 10,
  }; // prettier-ignore
}

function realDirectory(directory: string): string {
  try {
    const root = realpathSync(directory);
    if (statSync(root).isDirectory()) return root;
  } catch (cause) {
    throw new SandboxerError("file_not_found", `there is no directory ${directory} here`, {
      phase: "sync",
      hint: "Name a directory of this machine.",
      cause,
    });
  }
  throw new SandboxerError("file_conflict", `${directory} is no directory here`, {
    phase: "sync",
    hint: "Name a directory of this machine.",
  });
}

async function beginListing(
  sandbox: Sandbox,
  to: string,
  state: SyncState,
  { git = false, signal }: SyncOptions,
): Promise<{ inside: Inside; listing: Listing }> {
  const tools = new InsideByTools(sandbox, to, { signal, checked: state.tools });
  try {
    return { inside: tools, listing: await tools.list(state.listing, git) };
  } catch (thrown) {
    if (!(thrown instanceof MissingTools)) throw thrown;
    const files = new InsideByFiles(sandbox, to, signal);
    return { inside: files, listing: await files.list("", git) };
  }
}

/** What the last sync took in is not held against rules that have not changed; whether they have is known at the end. */
async function lookAtOwn(root: string, { known, rules: before }: SyncState, options: SyncOptions): Promise<{ side: Side; rules: Rules }> {
  const rules = new Rules(options);
  const side = await lookHere(root, rules, (path) => known.has(path));
  if (known.size === 0 || rules.digest === before) return { side, rules };
  const again = new Rules(options);
  return { side: await lookHere(root, again, () => false), rules: again };
}

/** Inside as it was when a listing said the same as the last one. */
function sideOf(known: ReadonlyMap<string, Known>): Side {
  const entries = new Map<string, Found>();
  for (const [path, { inside: look, heldInside }] of known) {
    const [type = "f", mode = "0"] = heldInside.split(" ");
    const kind = type as Found["type"];
    const target = kind === "l" ? heldInside.slice(2) : "";
    entries.set(path, {
      type: kind,
      mode: kind === "l" ? MODE : Number.parseInt(mode, 8),
      size: Number(look.split(" ")[2] ?? 0),
      look,
      target,
    });
  }
  return { entries, special: [] };
}

function withoutIgnored({ entries, special }: Side, rules: Rules, passed: ReadonlyMap<string, Known>): Side {
  const kept = new Map<string, Found>();
  const ignored = new Set<string>();
  for (const [path, found] of entries) {
    const slash = path.lastIndexOf("/");
    const below = slash !== -1 && ignored.has(path.slice(0, slash));
    if (below || (!passed.has(path) && rules.ignores(path, found.type === "d"))) {
      if (found.type === "d") ignored.add(path);
    } else kept.set(path, found);
  }
  return {
    entries: kept,
    special: special.filter((path) => !ignored.has(path.slice(0, Math.max(0, path.lastIndexOf("/")))) && !rules.ignores(path, false)),
  };
}

async function hashesHere(root: string, paths: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const path of paths) {
    const hash = createHash("sha256");
    try {
      for await (const chunk of createReadStream(systemPath(`${root}/${path}`), { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw new SandboxerError("file_denied", `cannot read ${path} here (${(thrown as NodeJS.ErrnoException).code ?? "unknown"})`, {
        phase: "sync",
        cause: thrown,
      });
    }
    found.set(path, hash.digest("hex"));
  }
  return found;
}

function changesOf({ put, remove }: Plan["push"], before: ReadonlyMap<string, Found>): SyncChange[] {
  return [
    ...put.map(({ path, found }) => ({ path, change: changeOf(before.get(path), found) })),
    ...remove.map(({ path }) => ({ path, change: "removed" as const })),
  ];
}

/** Here over to inside. What is replaced there is looked at once more right before. */
async function push(
  sandbox: Sandbox,
  work: {
    root: string;
    to: string;
    plan: Plan;
    before: ReadonlyMap<string, Found>;
    tools: Inside;
    done: SyncChange[];
    signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { root, to, plan, before, tools, done, signal } = work;
  const { put, remove } = plan.push;
  if (put.length + remove.length === 0) return;
  if (before.size > 0) {
    const paths = [...put, ...remove].map(({ path }) => path);
    const now = await tools.looks(paths);
    const changed = paths.filter((path) => differs(before.get(path), now.get(path)));
    if (changed.length > 0)
      throw new SandboxerError("file_conflict", `changed inside while it was synced: ${changed.slice(0, 5).join(", ")}`, {
        phase: "sync",
        hint: "Nothing was overwritten inside; sync again.",
      });
  }
  // What something of another kind takes the place of goes first.
  const replaced = put.filter(({ path, found }) => before.has(path) && before.get(path)?.type !== found.type);
  const gone = [...remove, ...replaced.map(({ path }) => ({ path, found: before.get(path) }))].toSorted((a, b) =>
    a.path < b.path ? 1 : -1,
  );
  const directories = gone.filter(({ found }) => found?.type === "d").map(({ path }) => path);
  await tools.remove(gone.filter(({ found }) => found?.type !== "d").map(({ path }) => path), directories); // prettier-ignore
  const sent = new Map<string, Sent>();
  if (put.length > 0) await sandbox.files.upload(to, tarOf(root, put, sent), signal === undefined ? {} : { signal });
  const after = await tools.looks([...sent.keys(), ...directories]);
  for (const { path, found } of remove) {
    // A directory in which something is left that does not travel stays, and is as little wanted at the next sync.
    if (found.type === "d" && after.has(path)) continue;
    if (found.type !== "d") plan.known.delete(path);
    done.push({ path, change: "removed" });
  }
  for (const { path, found } of put) {
    const [went, there] = [sent.get(path), after.get(path)];
    plan.known.delete(path);
    if (went === undefined || there?.type !== found.type || there.size !== went.size) continue;
    plan.known.set(path, { here: went.look, inside: there.look, held: went.held, heldInside: identityOf(there, went.hash) });
    done.push({ path, change: changeOf(before.get(path), found) });
  }
}

/** Whether something is not as it was seen; a racy file is seen by its size. */
function differs(seen: Found | undefined, now: Found | undefined): boolean {
  if (seen === undefined || now === undefined) return seen !== now;
  if (seen.type !== now.type || seen.size !== now.size) return true;
  return seen.look !== "" && seen.look !== now.look;
}

/** Inside over to here. */
async function pull(work: {
  plan: Plan;
  before: ReadonlyMap<string, Found>;
  tools: Inside;
  receiver: Receiver;
  done: SyncChange[];
}): Promise<void> {
  const { plan, before, tools, receiver, done } = work;
  const { put, remove } = plan.pull;
  const took = (path: string, found: Found, known: Known | undefined) => {
    plan.known.delete(path);
    if (known === undefined) plan.refused.push({ path, reason: "it changed here while it was synced; sync again" });
    else {
      plan.known.set(path, known);
      done.push({ path, change: changeOf(before.get(path), found) });
    }
  };
  for (const { path, found } of remove) {
    if (!receiver.remove(path)) {
      if (found.type !== "d") plan.refused.push({ path, reason: "it changed here while it was synced; sync again" });
      continue;
    }
    if (found.type !== "d") plan.known.delete(path);
    done.push({ path, change: "removed" });
  }
  const files = new Map<string, Found>();
  for (const { path, found } of put) {
    // A directory gives way to a file; all that was in it is gone by now.
    if (before.get(path)?.type === "d" && found.type !== "d" && !receiver.remove(path)) {
      plan.refused.push({ path, reason: "a directory in which something is left is in its place" });
      continue;
    }
    if (found.type === "f") files.set(path, found);
    else took(path, found, receiver.put(path, found));
  }
  for await (const { path, content } of tools.fetch([...files.keys()])) {
    const found = files.get(path);
    // What was not asked for is no business of the sandbox's.
    if (found === undefined) continue;
    files.delete(path);
    took(path, found, await receiver.file(path, found, content));
  }
  for (const path of files.keys()) plan.refused.push({ path, reason: "it went inside while it was synced; sync again" });
  const now = Date.now();
  for (const path of receiver.written.keys()) {
    const known = plan.known.get(path);
    if (known?.here === "") plan.known.set(path, { ...known, here: receiver.settled(path, now) });
  }
}
