import { SandboxerError } from "../contract/index.ts";
import type { Ledger, SandboxRow } from "../ledger/index.ts";
import { updateSandbox } from "../ledger/index.ts";
import type { Clock } from "./clock.ts";

/** Without an idle clock the time of last use only informs: written at most this often. */
const INFORM_MS = 5000;

/** The row's columns after a use at that time. */
export function usedAt(row: Pick<SandboxRow, "idle_seconds">, at: number): { last_active_at: number; idle_at: number | null } {
  return { last_active_at: at, idle_at: row.idle_seconds === null ? null : at + Math.ceil(row.idle_seconds * 1000) };
}

/**
 * The idle clock. A use is written when the last written one is a tenth of the idle time old (at most a second), and
 * what is not yet written is flushed by the sweep, so a busy sandbox costs a few writes a second and never looks idle.
 */
export class Activity {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #written = new Map<string, number>();
  readonly #pending = new Map<string, SandboxRow>();

  constructor(ledger: Ledger, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  async touch(row: SandboxRow): Promise<void> {
    const now = this.#clock.now();
    const window = row.idle_seconds === null ? INFORM_MS : Math.min(1000, row.idle_seconds * 100);
    const last = this.#written.get(row.id) ?? row.last_active_at;
    const patch = usedAt(row, now);
    if (now - last < window && now >= last) {
      this.#pending.set(row.id, { ...row, ...patch });
      return;
    }
    try {
      await this.#write(row.id, patch);
    } catch (thrown) {
      if (!(thrown instanceof SandboxerError) || thrown.code !== "storage_unavailable") throw thrown;
      // A full disk must not stop what only reads; the next flush tries again.
      this.#pending.set(row.id, { ...row, ...patch });
    }
  }

  /** Writes what is pending; called before anything is ended for being idle. */
  async flush(): Promise<void> {
    for (const row of this.#pending.values()) await this.#write(row.id, { last_active_at: row.last_active_at, idle_at: row.idle_at });
  }

  forget(sandboxId: string): void {
    this.#written.delete(sandboxId);
    this.#pending.delete(sandboxId);
  }

  async #write(id: string, patch: { last_active_at: number; idle_at: number | null }): Promise<void> {
    await updateSandbox(this.#ledger.db, id, patch);
    this.#written.set(id, patch.last_active_at);
    if ((this.#pending.get(id)?.last_active_at ?? 0) <= patch.last_active_at) this.#pending.delete(id);
  }
}
