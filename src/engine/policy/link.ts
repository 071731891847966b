import { type PolicyFile, SandboxerError } from "../../contract/index.ts";
import { type Policy, preparePolicy, readStored } from "../../guard/index.ts";
import { findPolicy, type Ledger, policyHead } from "../../ledger/index.ts";

/** The policy in force, prepared once a version. Which version that is, is read at every request: another process may have changed it. */
export class PolicyLink {
  readonly #ledger: Ledger;
  #held: { readonly version: number; readonly policy: Promise<Policy> } | undefined;

  readonly #told = new Map<string, { at: number; untold: number }>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /**
   * null: none is in force.
   *
   * @throws SandboxerError `policy_unavailable` where there is one and it cannot be had; nothing is let through then.
   */
  async inForce(): Promise<Policy | null> {
    const head = await policyHead(this.#ledger.db);
    if (head === undefined || head.rules === 0) return null;
    if (this.#held?.version !== head.version) this.#held = { version: head.version, policy: this.#load(head.version, head.digest) };
    const { policy } = this.#held;
    try {
      return await policy;
    } catch (thrown) {
      // Looked at anew by the next request.
      if (this.#held.policy === policy) this.#held = undefined;
      throw thrown;
    }
  }

  /** How many denials of a kind were not told since the last that was; undefined: this one is not to be told either. */
  sinceTold(kind: string, at: number, everyMs: number, remembered: number): number | undefined {
    const last = this.#told.get(kind);
    if (last !== undefined && Math.abs(at - last.at) < everyMs) {
      last.untold++;
      return undefined;
    }
    this.#told.delete(kind);
    const oldest = this.#told.size >= remembered ? this.#told.keys().next().value : undefined;
    if (oldest !== undefined) this.#told.delete(oldest);
    this.#told.set(kind, { at, untold: 0 });
    return last?.untold ?? 0;
  }

  async #load(version: number, digest: string): Promise<Policy> {
    const row = await findPolicy(this.#ledger.db, version);
    const failed = (message: string, cause?: unknown) =>
      new SandboxerError("policy_unavailable", `version ${version} of the policy ${message}`, { phase: "policy", cause });
    if (row === undefined) throw failed("is not in the ledger");
    try {
      const rules = await readStored(JSON.parse(row.files) as PolicyFile[]);
      if (rules.digest !== digest) throw failed("is not what was applied: its digest is another");
      return await preparePolicy(rules);
    } catch (thrown) {
      if (thrown instanceof SandboxerError && thrown.code === "policy_unavailable") throw thrown;
      throw failed(`cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, thrown);
    }
  }
}
