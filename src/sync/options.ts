/** How a directory here is brought in step with one inside. */
export interface SyncOptions {
  /** The directory inside, from the workspace on; the workspace itself unless given. Made where it is missing. */
  readonly to?: string;
  /** `push` only changes what is inside, `pull` only what is here. `both` unless given. */
  readonly direction?: "both" | "push" | "pull";
  /** Paths whose conflicts the version here wins; with a directory, all below it; "." is everything. */
  readonly ours?: readonly string[];
  /** Paths whose conflicts the version inside wins. */
  readonly theirs?: readonly string[];
  /** Whether `.gitignore` and `.sandboxerignore` files here are honoured; true unless given. */
  readonly ignoreFiles?: boolean;
  /** Whether `.git` goes along; false unless given. Its hooks and configuration are never taken from inside. */
  readonly git?: boolean;
  /** Only say what would be done. */
  readonly dryRun?: boolean;
  /** Where it is kept what the last sync saw, and what it replaced here; below the user's state directory unless given. */
  readonly stateDirectory?: string;
  readonly signal?: AbortSignal;
}

/** One path that travelled, or would. */
export interface SyncChange {
  readonly path: string;
  readonly change: "created" | "modified" | "removed";
}

/** Both sides changed it, differently, since the last sync. Neither was touched. */
export interface SyncConflict {
  readonly path: string;
  readonly here: SyncChange["change"];
  readonly inside: SyncChange["change"];
}

/** What a sync did. */
export interface SyncReport {
  readonly direction: "both" | "push" | "pull";
  readonly dry_run: boolean;
  /** Changes of here that are inside now. */
  readonly pushed: readonly SyncChange[];
  /** Changes of inside that are here now. */
  readonly pulled: readonly SyncChange[];
  readonly conflicts: readonly SyncConflict[];
  /** Changes that go the other way than the one that was asked for. */
  readonly left: { readonly here: number; readonly inside: number };
  /** What does not travel, and why. */
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
  /** Where what was replaced or removed here is kept; null: nothing was. */
  readonly backup: string | null;
  readonly duration_ms: number;
}
