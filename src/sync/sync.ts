import { createHash } from "node:crypto";
import { createReadStream, realpathSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import type { Sandbox } from "../sdk/index.ts";
import { type Both, questionsOf } from "./compare.ts";
import { type Found, type Side, systemPath } from "./entry.ts";
import { lookHere } from "./here.ts";
import { InsideByFiles } from "./inside-by-files.ts";
import { InsideView } from "./inside-view.ts";
import { type Inside, InsideByTools, type Listing, MissingTools } from "./inside.ts";
import { pull, push } from "./move.ts";
import type { SyncChange, SyncOptions, SyncReport } from "./options.ts";
import { changeOf, planSync, type Way } from "./plan.ts";
import { Receiver } from "./receive.ts";
import { Rules } from "./rules.ts";
import { defaultStateDirectory, openBook, stateFile, type SyncBook, type SyncEnd, takePair } from "./state.ts";

/** After more changes inside than this the next listing may as well be a whole one. */
const MANY = 500;

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
  const { last, read } = openBook(file);
  const pair = { to, name: basename(file, ".json"), signal, git: options.git ?? false };
  const looking = beginListing(sandbox, pair, last);
  // It is waited for below; a failure of our own side first must not leave it unheard.
  looking.catch(() => undefined);

  const book = read();
  const { here, rules } = await lookAtOwn(root, book, options);
  const passed = rules.digest === last.rules;
  const { inside: tools, ...first } = await looking;
  // What is ignored otherwise than before may not be among what has changed.
  const listing = passed || "all" in first.listing ? first.listing : await tools.list("", pair.git);
  const inside = new InsideView(listing, book, rules, passed);

  const paths = notAsInBook(book, here, inside);
  const asked = questionsOf(paths);
  const hashes = { inside: await tools.hashes(asked.inside), here: await hashesHere(root, asked.here) };
  const plan = planSync({ paths, book, here, inside, hashes }, options);

  const done = { pushed: [] as SyncChange[], pulled: [] as SyncChange[] };
  const backup = join(stateDirectory, "backups", `${new Date().toISOString().replaceAll(":", "-")}-${sandbox.id}`);
  const receiver = new Receiver(root, here, backup);
  if (dryRun) {
    done.pushed.push(...changesOf(plan.push, inside));
    done.pulled.push(...changesOf(plan.pull, here));
  } else {
    const end = { rules: rules.digest, tools: tools instanceof InsideByTools, unsettled: plan.unsettled };
    let whole = false;
    try {
      const isEmpty = book.known.size === 0 && inside.differs.size === 0;
      await push(sandbox, { root, to, plan, book, before: inside, isEmpty, tools, done: done.pushed, signal });
      await pull({ plan, book, before: here, tools, receiver, done: done.pulled });
      whole = plan.push.put.length + plan.push.remove.length <= MANY;
    } finally {
      // Also after a failure: what has gone over has.
      book.write({ ...end, listing: whole ? listing.name : "" });
    }
  }
  const { conflicts, left, refused } = plan;
  const duration_ms = Math.round((performance.now() - began) * 10) / 10;
  return { direction, dry_run: dryRun, ...done, conflicts, left, refused, backup: receiver.backup, duration_ms };
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
  { to, name, signal, git }: { to: string; name: string; signal: AbortSignal | undefined; git: boolean },
  { listing, tools: checked }: SyncEnd,
): Promise<{ inside: Inside; listing: Listing }> {
  const tools = new InsideByTools(sandbox, to, { signal, checked, name });
  try {
    return { inside: tools, listing: await tools.list(listing, git) };
  } catch (thrown) {
    if (!(thrown instanceof MissingTools)) throw thrown;
    const files = new InsideByFiles(sandbox, to, signal);
    return { inside: files, listing: await files.list("", git) };
  }
}

/** What the last sync took in is not held against rules that have not changed; whether they have is known at the end. */
async function lookAtOwn(
  root: string,
  { known, last }: SyncBook,
  options: SyncOptions,
): Promise<{ here: Map<string, Found>; rules: Rules }> {
  const rules = new Rules(options);
  const here = await lookHere(root, rules, (path) => known.has(path));
  if (known.size === 0 || rules.digest === last.rules) return { here, rules };
  const again = new Rules(options);
  return { here: await lookHere(root, again, () => false), rules: again };
}

/** Every path of which one side is not as the book has it, or could not be told from it when that was written. */
function notAsInBook({ known, racy }: SyncBook, here: ReadonlyMap<string, Found>, inside: InsideView): Both[] {
  const paths = new Set<string>([...inside.differs.keys(), ...racy]);
  let met = 0;
  for (const [path, { look }] of here) {
    const before = known.get(path);
    if (before !== undefined) met++;
    if (before?.here !== look) paths.add(path);
  }
  if (met < known.size) for (const path of known.keys()) if (!here.has(path)) paths.add(path);
  return [...paths].map((path) => ({ path, known: known.get(path), here: here.get(path), inside: inside.get(path) }));
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

function changesOf({ put, remove }: Way, before: Side): SyncChange[] {
  return [
    ...put.map(({ path, found }) => ({ path, change: changeOf(before.get(path), found) })),
    ...remove.map(({ path }) => ({ path, change: "removed" as const })),
  ];
}
