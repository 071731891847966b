/**
 * Whether a path is one that the pattern names: `*` stands for any run of characters, also none and also with slashes. Linear in the
 * path's length. Asked of two patterns, it says whether the first names everything that the second does (never yes where it does not).
 */
export function pathMatches(pattern: string, path: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === path;
  const last = rest.pop() ?? "";
  if (!path.startsWith(first) || path.length < first.length + last.length || !path.endsWith(last)) return false;
  const end = path.length - last.length;
  let at = first.length;
  for (const piece of rest) {
    const found = path.indexOf(piece, at);
    if (found === -1 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}
