import { SandboxerError, type SweepReport } from "../contract/index.ts";

/** A sweep's report while it is written. */
export class Report {
  readonly result: SweepReport = { adopted: [], ended: [], orphans_removed: [], lost: [], errors: [] };

  ended(id: string, reason: string | null): void {
    this.result.ended.push({ id, reason: reason ?? "error" });
  }

  error(thrown: unknown, at: { backend?: string; sandboxId?: string }): void {
    const { code, message } = SandboxerError.from(thrown);
    this.result.errors.push({ backend: at.backend ?? null, sandbox_id: at.sandboxId ?? null, code, message });
  }

  /** Does one thing of many: its error is reported and the others go on. */
  async try(at: { backend?: string; sandboxId?: string }, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      this.error(thrown, at);
    }
  }
}
