import { type Found, identityOf, type Known, plain, sameContent } from "./entry.ts";

/** What became of a path on one side since the last sync. `unknown`: only its content says. */
type Status = "same" | "changed" | "unknown";

/** A path on both sides, and in what the last sync saw. */
export interface Both {
  readonly path: string;
  readonly known: Known | undefined;
  readonly here: Found | undefined;
  readonly inside: Found | undefined;
}

/** The size that a look of a file's has in it. */
function sizeIn(look: string): number | undefined {
  const [type, , size] = plain(look).split(" ");
  return type === "f" ? Number(size) : undefined;
}

function statusOf(found: Found | undefined, look: string | undefined, held: string | undefined): Status {
  if (found === undefined || held === undefined || look === undefined)
    return found === undefined && held === undefined ? "same" : "changed";
  if (found.look === look && !look.startsWith("?")) return "same";
  if (found.type !== "f") return identityOf(found, "") === held ? "same" : "changed";
  if (!held.startsWith("f ") || sizeIn(look) !== found.size) return "changed";
  return "unknown";
}

/** Hashes of files by path. */
export type Hashes = ReadonlyMap<string, string>;

/** Which of the files must be read to know what became of them: those whose look has changed, and those that both sides may have changed alike. */
export function questionsOf(paths: readonly Both[]): { here: string[]; inside: string[] } {
  const asked = { here: [] as string[], inside: [] as string[] };
  for (const { path, known, here, inside } of paths) {
    const [ours, theirs] = [statusOf(here, known?.here, known?.held), statusOf(inside, known?.inside, known?.heldInside)];
    const alike = ours !== "same" && theirs !== "same" && here?.type === "f" && inside?.type === "f" && here.size === inside.size;
    if (alike || ours === "unknown") asked.here.push(path);
    if (alike || theirs === "unknown") asked.inside.push(path);
  }
  return asked;
}

/** What is to become of one path. */
export type Verdict =
  | { readonly what: "keep"; readonly known: Known }
  /** It is on neither side any more. */
  | { readonly what: "forget" }
  /** It went, or changed, while it was looked at. */
  | { readonly what: "unsteady" }
  | { readonly what: "push" | "pull" | "conflict" };

/** The verdict of a path, from what both sides have and what the files that were asked for hold. */
export function verdictOf({ path, known, here, inside }: Both, hashes: { readonly here: Hashes; readonly inside: Hashes }): Verdict {
  if (here === undefined && inside === undefined) return { what: "forget" };
  const identity = (found: Found | undefined, hash: string | undefined) =>
    found === undefined || (found.type === "f" && hash === undefined) ? undefined : identityOf(found, hash ?? "");
  const [ourHash, theirHash] = [hashes.here.get(path), hashes.inside.get(path)];
  const settled = (status: Status, found: Found | undefined, hash: string | undefined, held: string | undefined): Status =>
    status === "unknown" && hash !== undefined ? (identity(found, hash) === held ? "same" : "changed") : status;
  const ours = settled(statusOf(here, known?.here, known?.held), here, ourHash, known?.held);
  const theirs = settled(statusOf(inside, known?.inside, known?.heldInside), inside, theirHash, known?.heldInside);
  if (ours === "unknown" || theirs === "unknown") return { what: "unsteady" };
  if (known !== undefined && ours === "same" && theirs === "same" && here !== undefined && inside !== undefined)
    return { what: "keep", known: { ...known, here: lookAfter(here, known.here), inside: lookAfter(inside, known.inside) } };
  if (theirs === "same") return { what: "push" };
  if (ours === "same") return { what: "pull" };
  const [a, b] = [identity(here, ourHash), identity(inside, theirHash)];
  // Modes alone are no reason to trouble anyone: each side keeps its own.
  if (here !== undefined && inside !== undefined && a !== undefined && b !== undefined && sameContent(a, b))
    return { what: "keep", known: { here: here.look, inside: inside.look, held: a, heldInside: b } };
  return { what: "conflict" };
}

/** A look whose moment was in an earlier sync: the file was read since, and says all now. */
function lookAfter(found: Found, before: string): string {
  return found.look === before ? plain(before) : found.look;
}
