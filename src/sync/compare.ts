import { type Found, identityOf, type Known, sameContent } from "./entry.ts";

/** What became of a path on one side since the last sync. `unknown`: only its content says. */
type Status = "same" | "changed" | "unknown";

/** A path on both sides, and in what the last sync saw. */
interface Both {
  readonly path: string;
  readonly known: Known | undefined;
  readonly here: Found | undefined;
  readonly inside: Found | undefined;
}

/** The size that a look of a file's has in it. */
function sizeIn(look: string): number | undefined {
  const [type, , size] = look.split(" ");
  return type === "f" && size !== undefined ? Number(size) : undefined;
}

function statusOf(found: Found | undefined, look: string | undefined, held: string | undefined): Status {
  if (found === undefined || held === undefined) return found === undefined && held === undefined ? "same" : "changed";
  if (found.look !== "" && found.look === look) return "same";
  if (found.type !== "f") return identityOf(found, "") === held ? "same" : "changed";
  if (!held.startsWith("f ") || sizeIn(look ?? "") !== (look === "" ? undefined : found.size)) return "changed";
  return "unknown";
}

/** Hashes of files by path. */
export type Hashes = ReadonlyMap<string, string>;

/** Which files must be read to know what became of them: those whose look has changed, and those that both sides may have changed alike. */
export function questionsOf(known: ReadonlyMap<string, Known>, here: ReadonlyMap<string, Found>, inside: ReadonlyMap<string, Found>) {
  const asked = { here: [] as string[], inside: [] as string[] };
  const look = (path: string) => {
    const both = bothAt(path, known, here, inside);
    const [ours, theirs] = [
      statusOf(both.here, both.known?.here, both.known?.held),
      statusOf(both.inside, both.known?.inside, both.known?.heldInside),
    ];
    const alike =
      ours !== "same" && theirs !== "same" && both.here?.type === "f" && both.inside?.type === "f" && both.here.size === both.inside.size;
    if (alike || ours === "unknown") asked.here.push(path);
    if (alike || theirs === "unknown") asked.inside.push(path);
  };
  for (const path of here.keys()) look(path);
  for (const path of inside.keys()) if (!here.has(path)) look(path);
  return asked;
}

function bothAt(
  path: string,
  known: ReadonlyMap<string, Known>,
  here: ReadonlyMap<string, Found>,
  inside: ReadonlyMap<string, Found>,
): Both {
  return { path, known: known.get(path), here: here.get(path), inside: inside.get(path) };
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
function verdictOf({ path, known, here, inside }: Both, hashes: { here: Hashes; inside: Hashes }): Verdict {
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
    return {
      what: "keep",
      known: known.here === here.look && known.inside === inside.look ? known : { ...known, here: here.look, inside: inside.look },
    };
  if (theirs === "same") return { what: "push" };
  if (ours === "same") return { what: "pull" };
  const [a, b] = [identity(here, ourHash), identity(inside, theirHash)];
  // Modes alone are no reason to trouble anyone: each side keeps its own.
  if (here !== undefined && inside !== undefined && a !== undefined && b !== undefined && sameContent(a, b))
    return { what: "keep", known: { here: here.look, inside: inside.look, held: a, heldInside: b } };
  return { what: "conflict" };
}

/** Every path that either side or the last sync has, with its verdict. */
export function* verdicts(
  known: ReadonlyMap<string, Known>,
  here: ReadonlyMap<string, Found>,
  inside: ReadonlyMap<string, Found>,
  hashes: { here: Hashes; inside: Hashes },
): Generator<Both & { readonly verdict: Verdict }> {
  const of = (path: string) => {
    const both = bothAt(path, known, here, inside);
    return { ...both, verdict: verdictOf(both, hashes) };
  };
  for (const path of here.keys()) yield of(path);
  for (const path of inside.keys()) if (!here.has(path)) yield of(path);
  for (const path of known.keys()) if (!here.has(path) && !inside.has(path)) yield of(path);
}
