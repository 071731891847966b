import type { Generated, Insertable, Selectable } from "kysely";
/** A data directory, and with it a local runtime, of a shared ledger. */
export interface HostTable {
  id: string;
  name: string;
  /** Where its control plane is reached, where it says so. */
  address: string | null;
  seen_at: number;
}

/** What one control plane does for all, by the ledger's clock. */
export interface LeaseTable {
  name: string;
  holder: string;
  held_until: number;
}

/** Whole days of closed usage, added up before the single stays were forgotten. */
export interface UsageSummaryTable {
  tenant: string;
  backend: string;
  /** Days since 1970 (UTC) of the close. */
  day: number;
  stays: number;
  creates: number;
  vcpu_seconds: number;
  mem_mib_seconds: number;
  disk_mib_seconds: number;
  egress_bytes_up: number;
  egress_bytes_down: number;
}

export interface InstanceTable {
  id: string;
  boot_id: string;
  pid_namespace: string;
  pid: number;
  start_ticks: number;
  seen_at: number;
  /** The data directory's id, where the ledger is shared; null: the ledger lies in it. */
  host: Generated<string | null>;
  started_at: Generated<number>;
  /** By the ledger's clock; counts where the ledger is shared. */
  lease_until: Generated<number>;
}

export type NewInstanceRow = Insertable<InstanceTable>;
export type InstanceRow = Selectable<InstanceTable>;
