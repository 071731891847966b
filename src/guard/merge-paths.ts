/** More paths than these are made into patterns. */
const MANY = 8;
/** Longest pattern that a rule takes. */
const MAX_LENGTH = 1024;

/** The first `depth` segments and whatever follows, or the path itself where it is shorter. */
function cut(path: string, depth: number): string {
  const segments = path.split("/");
  return segments.length <= depth + 1 ? path : `${segments.slice(0, depth + 1).join("/")}/*`;
}

function readable(path: string): string {
  const escaped = path.replaceAll(/[^\x21-\x7e]/g, encodeURIComponent);
  return escaped.length > MAX_LENGTH ? `${escaped.slice(0, MAX_LENGTH - 1)}*` : escaped;
}

/** A few paths as they are; many by what they begin with, as deep as keeps them few; at last `/*`. Sorted, none twice. */
export function mergePaths(paths: readonly string[]): string[] {
  const exact = [...new Set(paths.map(readable))].sort();
  if (exact.length <= MANY) return exact;
  for (const depth of [3, 2, 1]) {
    const merged = [...new Set(exact.map((path) => cut(path, depth)))].sort();
    if (merged.length <= MANY) return merged;
  }
  return ["/*"];
}
