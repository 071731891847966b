/** A host that was added while servers run: a backend of that name. */
export interface InventoryTable {
  name: string;
  provider: "ssh" | "docker";
  /** JSON. */
  options: string;
  /** What live sandboxes there may have together; null: not bounded. */
  cpu: number | null;
  memory_bytes: number | null;
  sandboxes: number | null;
  draining: number;
  added_at: number;
}
