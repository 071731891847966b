import { SandboxerError } from "../contract/errors.ts";
import type { Sandbox } from "../sdk/index.ts";
import { type Found, identityOf, type Known, plain, type Side } from "./entry.ts";
import type { Inside } from "./inside.ts";
import type { SyncChange } from "./options.ts";
import { changeOf, type Plan } from "./plan.ts";
import type { Receiver } from "./receive.ts";
import { type Sent, tarOf } from "./send.ts";
import type { SyncBook } from "./state.ts";

/** Here over to inside. What is replaced there is looked at once more right before, unless there was nothing. */
export async function push(
  sandbox: Sandbox,
  work: {
    readonly root: string;
    readonly to: string;
    readonly plan: Plan;
    readonly book: SyncBook;
    readonly before: Side;
    readonly isEmpty: boolean;
    readonly tools: Inside;
    readonly done: SyncChange[];
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { root, to, plan, book, before, tools, done, signal } = work;
  const { put, remove } = plan.push;
  if (put.length + remove.length === 0) return;
  const was = new Map([...put, ...remove].map(({ path }) => [path, before.get(path)]));
  if (!work.isEmpty) {
    const now = await tools.looks([...was.keys()]);
    const changed = [...was].filter(([path, found]) => differs(found, now.get(path))).map(([path]) => path);
    if (changed.length > 0)
      throw new SandboxerError("file_conflict", `changed inside while it was synced: ${changed.slice(0, 5).join(", ")}`, {
        phase: "sync",
        hint: "Nothing was overwritten inside; sync again.",
      });
  }
  // The listing was made before: where the next one says nothing of these paths, they are again as they were then.
  for (const [path, found] of was) plan.unsettled.set(path, found);
  // What something of another kind takes the place of goes first, the deepest before what it is in.
  const replaced = put.filter(({ path, found }) => was.get(path) !== undefined && was.get(path)?.type !== found.type);
  const gone = [...remove, ...replaced].map(({ path }) => path).toSorted((a, b) => (a < b ? 1 : -1));
  const directories = gone.filter((path) => was.get(path)?.type === "d");
  await tools.remove(gone.filter((path) => was.get(path)?.type !== "d"), directories); // prettier-ignore
  const sent = new Map<string, Sent>();
  if (put.length > 0) await sandbox.files.upload(to, tarOf(root, put, sent), signal === undefined ? {} : { signal });
  const after = await tools.looks([...sent.keys(), ...directories]);
  for (const { path, found } of remove) {
    // A directory in which something is left that does not travel stays, and is as little wanted at the next sync.
    if (found.type === "d" && after.has(path)) continue;
    book.drop(path);
    done.push({ path, change: "removed" });
  }
  for (const { path, found } of put) {
    const [went, there] = [sent.get(path), after.get(path)];
    if (went === undefined || there?.type !== found.type || there.size !== went.size) {
      book.drop(path);
      continue;
    }
    book.set(path, { here: went.look, inside: there.look, held: went.held, heldInside: identityOf(there, went.hash) });
    done.push({ path, change: changeOf(was.get(path), found) });
  }
}

/** Whether something is not as it was seen. */
function differs(seen: Found | undefined, now: Found | undefined): boolean {
  return seen === undefined || now === undefined ? seen !== now : plain(seen.look) !== plain(now.look);
}

const CHANGED_HERE = "it changed here while it was synced; sync again";

/** Inside over to here. */
export async function pull(work: {
  readonly plan: Plan;
  readonly book: SyncBook;
  readonly before: Side;
  readonly tools: Inside;
  readonly receiver: Receiver;
  readonly done: SyncChange[];
}): Promise<void> {
  const { plan, book, before, tools, receiver, done } = work;
  const { put, remove } = plan.pull;
  const refuse = (path: string, reason: string, found: Found | undefined) => {
    plan.refused.push({ path, reason });
    plan.unsettled.set(path, found);
  };
  const took = (path: string, found: Found, known: Known | undefined) => {
    if (known === undefined) return refuse(path, CHANGED_HERE, found);
    book.set(path, known);
    done.push({ path, change: changeOf(before.get(path), found) });
  };
  for (const { path, found } of remove) {
    if (receiver.remove(path)) {
      book.drop(path);
      done.push({ path, change: "removed" });
    } else if (found.type === "d") plan.unsettled.set(path, undefined);
    else refuse(path, CHANGED_HERE, undefined);
  }
  const files = new Map<string, Found>();
  for (const { path, found } of put) {
    // A directory gives way to a file; all of it that travels is gone by now.
    if (before.get(path)?.type === "d" && found.type !== "d" && !receiver.remove(path))
      refuse(path, "a directory in which something is left is in its place", found);
    else if (found.type === "f") files.set(path, found);
    else took(path, found, receiver.put(path, found));
  }
  for await (const { path, content } of tools.fetch([...files.keys()])) {
    const found = files.get(path);
    // What was not asked for is no business of the sandbox's.
    if (found === undefined) continue;
    files.delete(path);
    took(path, found, await receiver.file(path, found, content));
  }
  for (const [path, found] of files) refuse(path, "it went inside while it was synced; sync again", found);
  const now = Date.now();
  for (const path of receiver.written.keys()) {
    const known = book.known.get(path);
    if (known?.here.startsWith("?") === true) book.set(path, { ...known, here: receiver.settled(path, now) ?? known.here });
  }
}
