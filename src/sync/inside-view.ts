import { type Found, foundIn, type Known, parentOf, type Side } from "./entry.ts";
import type { Listing } from "./inside.ts";
import type { Rules } from "./rules.ts";
import type { SyncBook } from "./state.ts";

/** Inside as it is now: as the book has it, but for what is not. */
export class InsideView implements Side {
  readonly #known: ReadonlyMap<string, Known>;
  /** What is otherwise than in the book, or may be; undefined: gone. */
  readonly differs: ReadonlyMap<string, Found | undefined>;

  /** Without what is ignored. `passed`: the book's paths are known not to be. */
  constructor(listing: Listing, { known, last }: SyncBook, rules: Rules, passed: boolean) {
    this.#known = known;
    const ignored = ignoredBy(rules, passed ? known : new Map());
    const differs = new Map<string, Found | undefined>();
    if ("changed" in listing) {
      for (const [path, found] of last.unsettled) differs.set(path, found);
      for (const [path, found] of listing.changed) if (!ignored(path, found)) differs.set(path, found);
    } else {
      for (const [path, found] of listing.all)
        if (known.get(path)?.inside !== found.look && !ignored(path, found)) differs.set(path, found);
      for (const path of known.keys()) if (!listing.all.has(path)) differs.set(path, undefined);
      // What newly is ignored is as if it were not there.
      if (!passed) for (const path of known.keys()) if (ignored(path, listing.all.get(path))) differs.set(path, undefined);
    }
    this.differs = differs;
  }

  get(path: string): Found | undefined {
    if (this.differs.has(path)) return this.differs.get(path);
    const known = this.#known.get(path);
    return known === undefined ? undefined : foundIn(known.inside, known.heldInside);
  }

  *keys(): Generator<string> {
    for (const path of this.#known.keys()) if (!this.differs.has(path)) yield path;
    for (const [path, found] of this.differs) if (found !== undefined) yield path;
  }
}

/** Whether a path does not travel: by itself, or by a directory that it is in. */
function ignoredBy(rules: Rules, passed: ReadonlyMap<string, Known>): (path: string, found: Found | undefined) => boolean {
  const directories = new Map<string, boolean>();
  const inIgnored = (path: string): boolean => {
    const parent = parentOf(path);
    if (parent === "") return false;
    const seen = directories.get(parent);
    if (seen !== undefined) return seen;
    const ignored = inIgnored(parent) || (!passed.has(parent) && rules.ignores(parent, true));
    directories.set(parent, ignored);
    return ignored;
  };
  return (path, found) => !passed.has(path) && (inIgnored(path) || rules.ignores(path, found?.type === "d"));
}
