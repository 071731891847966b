/** The parts of an entry's name, or why it may not be used. Names are latin-1 text over raw bytes. */
export function partsOf(name: string): Buffer[] | string {
  if (name.startsWith("/")) return "its path is absolute";
  if (name.includes("\0")) return "its path holds a NUL byte";
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) return 'its path holds ".."';
  if (parts.length > 512) return "its path is too deep";
  return parts.map((part) => Buffer.from(part, "latin1"));
}

/**
 * Whether a symlink that lies `depth` real directories below the target can only lead to something in it. `..` may
 * stand only at the front, and not more often than there are directories above: behind a name it would go up from
 * wherever another symlink leads.
 */
export function stays(link: string, depth: number): boolean {
  if (link === "" || link.startsWith("/") || link.includes("\0")) return false;
  const parts = link.split("/").filter((part) => part !== "" && part !== ".");
  let ups = 0;
  while (parts[ups] === "..") ups++;
  return ups <= depth && !parts.includes("..", ups);
}
