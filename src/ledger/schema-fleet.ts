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
