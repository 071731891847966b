/**
 * A slot is what a sandbox occupies on this host: a number, the host ids its users map to, and its writable
 * directories under one quota. Slots are prepared ahead, so that a create only renames one.
 */

/** Ids of one sandbox; its uid 0 maps to {@link idBase}. */
export const IDS_PER_SANDBOX = 65_536;

/** Above what distributions and container engines hand out; below 2^31, beyond which some tools take ids for negative. */
const FIRST_ID = 2 ** 30;

/** How many sandboxes of one data directory can have ids of their own. */
export const MAX_SLOTS = Math.floor((2 ** 31 - FIRST_ID) / IDS_PER_SANDBOX);

export interface Slot {
  readonly number: number;
  /** Host directory with the writable directories {@link WRITABLE}; undefined where they are tmpfs inside. */
  readonly directory: string | undefined;
  /** Where its root is mounted, of a sandbox that has one of its own. */
  readonly root: string;
}

/** Names of the writable directories in a slot, and where they stand in the sandbox. */
export const WRITABLE = { home: "/home/sandbox", workspace: "/workspace", vartmp: "/var/tmp" } as const;

export interface Quota {
  readonly bytes: number;
  readonly inodes: number;
}

export function idBase(slotNumber: number): number {
  return FIRST_ID + slotNumber * IDS_PER_SANDBOX;
}

/** Directory entries are `<number>.<sandbox id>`: a claim that was interrupted still says both. */
export function slotName(number: number, sandboxId: string): string {
  return `${number}.${sandboxId}`;
}

export function parseSlotName(name: string): { number: number; sandboxId: string } | undefined {
  const match = /^(\d{1,5})\.([a-z0-9]+)$/.exec(name);
  return match === null ? undefined : { number: Number(match[1]), sandboxId: match[2] ?? "" };
}

/** Directory entries for slots of one quota. */
export function quotaKey(quota: Quota): string {
  return `${quota.bytes}-${quota.inodes}`;
}

export function parseQuotaKey(key: string): Quota | undefined {
  const match = /^(\d+)-(\d+)$/.exec(key);
  return match === null ? undefined : { bytes: Number(match[1]), inodes: Number(match[2]) };
}
