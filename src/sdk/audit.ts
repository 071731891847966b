import type { AuditAnchor, AuditEntry, AuditPage, AuditReport } from "../contract/audit.ts";
import { query, type Transport } from "./transport.ts";

/** Which entries: those that have all that is given. */
export interface AuditOptions {
  /** Only those after this `seq`. */
  after?: number;
  action?: string;
  /** A key's id, `local`, `anonymous` or `system`. */
  actor?: string;
  target?: string;
  result?: "ok" | "denied";
}

/** Who did what: `client.audit`. Needs the admin scope. */
export class Audit {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** All of it, oldest first, page by page as the iteration needs them. */
  async *list(options: AuditOptions = {}): AsyncGenerator<AuditEntry, void, undefined> {
    let { after } = options;
    for (;;) {
      const path = `/v1/audit${query({ ...options, after, limit: 1000 })}`;
      const page = await this.#transport.json<AuditPage>({ method: "GET", path });
      yield* page.data;
      if (page.next_cursor === null) return;
      after = Number(page.next_cursor);
    }
  }

  /** Whether it is whole, also against anchors that were kept elsewhere. A fault is in the report, and is not thrown. */
  async verify(anchors: readonly AuditAnchor[] = []): Promise<AuditReport> {
    return this.#transport.json({ method: "POST", path: "/v1/audit/verify", json: { anchors }, repeatable: true });
  }

  /** Writes the head down now; null where the log is empty. */
  async anchor(): Promise<AuditAnchor | null> {
    return this.#transport.json({ method: "POST", path: "/v1/audit/anchor" });
  }
}
