import type {
  PolicyApplied, PolicyApplyRequest, PolicyCheckRequest, PolicyDocument, PolicyExplainRequest, PolicyExplanation, PolicyReading, PolicyTestReport,
  PolicyTestRequest, PolicyVersion, Principal, ProjectInfo, ProjectRequest, QuotaInfo, QuotaRequest, TenantInfo, TenantRequest,
} from "../contract/index.ts"; // prettier-ignore

/** Tenants by name. One also begins with the first key that is made for it. */
export interface TenantVerbs {
  /** @throws SandboxerError `conflict` where it exists. */
  create(who: Principal, request: TenantRequest): Promise<TenantInfo>;
  list(who: Principal): Promise<TenantInfo[]>;
  /** Suspended: no key of it is let in, from the next request on. Its sandboxes live until their end. */
  suspend(who: Principal, name: string, suspended: boolean): Promise<TenantInfo>;
}

/** Parts of a tenant, each with keys that see its sandboxes alone. */
export interface ProjectVerbs {
  create(who: Principal, request: ProjectRequest): Promise<ProjectInfo>;
  /** The tenant's own; an admin sees those of all. A key of a project sees that one. */
  list(who: Principal): Promise<ProjectInfo[]>;
  /** @throws SandboxerError `conflict` while keys that work or live sandboxes are in it. */
  remove(who: Principal, tenant: string, name: string): Promise<void>;
}

/** Bounds of a tenant, a project or a key, all of which hold at once. */
export interface QuotaVerbs {
  /** Replaces both limits; holds from the next create on. */
  set(who: Principal, request: QuotaRequest): Promise<QuotaInfo>;
  list(who: Principal): Promise<QuotaInfo[]>;
  /** @throws SandboxerError `not_found` */
  remove(who: Principal, subject: string): Promise<void>;
}

/** Rules of admission: versions in the ledger, of which the newest holds for the next request of every server over it. */
export interface PolicyVerbs {
  /** Throws `invalid_request` with file, line and nearest name for each fault. Changes nothing. */
  check(who: Principal, request: PolicyCheckRequest): Promise<PolicyReading>;
  /** Runs cases against rules. Changes nothing. */
  test(who: Principal, request: PolicyTestRequest): Promise<PolicyTestReport>;
  /** Which rules decide a request, and which would match it. Changes nothing. */
  explain(who: Principal, request: PolicyExplainRequest): Promise<PolicyExplanation>;
  /**
   * Puts rules in force as a new version. Rules with a fault change nothing.
   *
   * @throws SandboxerError `invalid_request`, `conflict` where another version than the expected one is in force.
   */
  apply(who: Principal, request: PolicyApplyRequest): Promise<PolicyApplied>;
  /** The rules of an earlier version again, as a new one. */
  rollback(who: Principal, version: number): Promise<PolicyApplied>;
  /** What is in force, or a version. */
  show(who: Principal, version?: number): Promise<PolicyDocument>;
  /** The names that rules can use, as a Cedar schema. */
  schema(who: Principal): Promise<string>;
  /** Newest first. */
  history(who: Principal): Promise<PolicyVersion[]>;
}
