import type { Selectable } from "kysely";
import type { SnapshotState } from "../contract/index.ts";

export interface SnapshotTable {
  id: string;
  tenant: string;
  project: string | null;
  name: string | null;
  kind: "disk";
  state: SnapshotState;
  backend: string;
  /** The host that has it; null: every control plane reaches it. */
  host: string | null;
  /** The instance that is making it or taking it away; null: nobody. */
  owner: string | null;
  /** What it was taken of; null: it was imported. */
  sandbox_id: string | null;
  /** name@version of its sandbox's profile. */
  profile: string | null;
  parent: string | null;
  /** What is below: `host`, or an image's id. null until it is ready. */
  image: string | null;
  size_bytes: number | null;
  entries: number | null;
  digest: string | null;
  created_at: number;
  expires_at: number | null;
  key_id: string | null;
}

export type SnapshotRow = Selectable<SnapshotTable>;

export interface SnapshotTables {
  snapshots: SnapshotTable;
}
