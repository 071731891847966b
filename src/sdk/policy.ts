import type {
  PolicyApplied, PolicyApplyRequest, PolicyCase, PolicyDocument, PolicyExplanation, PolicyFile, PolicyQuestion, PolicyReading, PolicyTestReport,
  PolicyVersion,
} from "../contract/policy.ts"; // prettier-ignore
import { query, type Transport } from "./transport.ts";

/** The rules of admission. Needs the admin scope. */
export class Policy {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Reads rules. Throws `invalid_request` with file, line and nearest name for each fault. */
  async check(files: PolicyFile[]): Promise<PolicyReading> {
    return this.#transport.json({ method: "POST", path: "/v1/policy/check", json: { files }, repeatable: true });
  }

  /** Runs cases against rules; nothing is applied. */
  async test(files: PolicyFile[], cases: PolicyCase[]): Promise<PolicyTestReport> {
    return this.#transport.json({ method: "POST", path: "/v1/policy/test", json: { files, cases }, repeatable: true });
  }

  /** Which rules decide a request: of those in force, or of the files. */
  async explain(request: PolicyQuestion, files?: PolicyFile[]): Promise<PolicyExplanation> {
    return this.#transport.json({ method: "POST", path: "/v1/policy/explain", json: { request, files }, repeatable: true });
  }

  /** Puts rules in force for the next request; no files turn the policy off. `dry_run` only says which live sandboxes it would refuse. */
  async apply(request: PolicyApplyRequest): Promise<PolicyApplied> {
    return this.#transport.json({ method: "PUT", path: "/v1/policy", json: request });
  }

  /** The rules of an earlier version again, as a new one. */
  async rollback(version: number): Promise<PolicyApplied> {
    return this.#transport.json({ method: "POST", path: "/v1/policy/rollback", json: { version } });
  }

  /** What is in force, or a version. */
  async show(version?: number): Promise<PolicyDocument> {
    return this.#transport.json({ method: "GET", path: `/v1/policy${query({ version })}` });
  }

  /** The names that rules can use, as a Cedar schema. */
  async schema(): Promise<string> {
    return (await this.#transport.json<{ cedar: string }>({ method: "GET", path: "/v1/policy/schema" })).cedar;
  }

  /** Newest first. */
  async history(): Promise<PolicyVersion[]> {
    return (await this.#transport.json<{ data: PolicyVersion[] }>({ method: "GET", path: "/v1/policy/versions" })).data;
  }
}
