import type {
  AuditAnchor, AuditPage, AuditReport, AuditVerifyRequest, BackendInfo, CreateRequest, EventPage, EventType, ExecEvent, FileEvent, FileInfo, Fleet, KeyInfo, KeyRequest, KeyRotation, LedgerEvent, MetricSample, NetworkChange, NetworkCheck, NetworkCheckRequest, NetworkLogPage, NetworkSuggestion, NetworkUpdate, NetworkVerdict, NetworkView, OutputChunk, PauseRequest, Principal, ProcessInfo, ProcessRequest, ProfileRecord, PtySize, PublishRequest, RenewRequest, Route, Sandbox, SandboxPage, SandboxState, SecretInfo, SecretRequest, ServiceLogOptions, ServiceState, Stdin, SweepReport, TerminationReason, Usage, WatchOptions, WebhookChange, WebhookDelivery, WebhookInfo, WebhookReplay, WebhookRequest, WebhookTestResult,
} from "../contract/index.ts"; // prettier-ignore
import type { MoneyEngine } from "./money/verbs.ts";
import type { PolicyVerbs, ProjectVerbs, QuotaVerbs, TenantVerbs } from "./access-verbs.ts";
import type { PortConnection, Publication, Visitor } from "./publication.ts";

/** A command for a foreground exec, already validated by the door (seconds, bytes). */
export interface ExecInput {
  argv?: string[];
  shell?: string;
  cwd?: string;
  env?: Record<string, string>;
  user?: string;
  /** exec_timeout in seconds. */
  timeout?: number;
  stdin: Stdin;
  /** Cap over stdout and stderr. */
  maxOutputBytes: number;
}

/**
 * The engine: every verb of the job, for whoever is behind `Principal`. Doors (HTTP, the CLI in its own process) call
 * nothing else. Another tenant's sandbox is `sandbox_not_found`, as one that does not exist. All errors are
 * `SandboxerError`.
 */
export interface Engine {
  /** `replayed`: the idempotency key had made it. `attached`: its scope's key found a live one, which runs then. */
  create(
    who: Principal,
    request: CreateRequest,
    options: { idempotencyKey?: string; signal?: AbortSignal },
  ): Promise<{ sandbox: Sandbox; replayed: boolean; attached: boolean }>;
  get(who: Principal, id: string): Promise<Sandbox>;
  list(
    who: Principal,
    query: { states?: SandboxState[]; metadata?: Record<string, string>; limit: number; cursor?: string; allTenants?: boolean },
  ): Promise<SandboxPage>;
  usage(who: Principal, id: string): Promise<Usage>;
  renew(who: Principal, id: string, request: RenewRequest): Promise<Sandbox>;
  touch(who: Principal, id: string): Promise<Sandbox>;
  /** Has it stand still, with its memory or with its disk alone. Safe to repeat. */
  pause(who: Principal, id: string, request: PauseRequest): Promise<Sandbox>;
  /** Has it run again, paused or suspended. Safe to repeat. */
  resume(who: Principal, id: string): Promise<Sandbox>;
  /** Resolves when the backend has confirmed it. Safe to repeat; an ended sandbox answers as it is. */
  destroy(who: Principal, id: string, reason?: TerminationReason): Promise<Sandbox>;

  /** The first item is `{type:"started"}`; the iterator ends after `exited`, or throws. Returning early kills the command. */
  exec(who: Principal, id: string, input: ExecInput, signal?: AbortSignal): Promise<{ execId: string; events: AsyncIterable<ExecEvent> }>;

  processes: {
    start(who: Principal, id: string, request: ProcessRequest): Promise<ProcessInfo>;
    list(who: Principal, id: string): Promise<ProcessInfo[]>;
    get(who: Principal, id: string, processId: string): Promise<ProcessInfo>;
    /** Resolves when it has ended, or at the limit as it is then. */
    wait(who: Principal, id: string, processId: string, timeoutSeconds: number, signal?: AbortSignal): Promise<ProcessInfo>;
    output(
      who: Principal,
      id: string,
      processId: string,
      from: { offset: number; follow: boolean },
      signal?: AbortSignal,
    ): Promise<AsyncIterable<OutputChunk>>;
    signal(who: Principal, id: string, processId: string, signal: string): Promise<void>;
    write(who: Principal, id: string, processId: string, data: Uint8Array): Promise<void>;
    closeStdin(who: Principal, id: string, processId: string): Promise<void>;
    resize(who: Principal, id: string, processId: string, size: PtySize): Promise<void>;
  };

  services: {
    list(who: Principal, id: string): Promise<ServiceState[]>;
    logs(
      who: Principal,
      id: string,
      name: string,
      options: ServiceLogOptions,
      signal?: AbortSignal,
    ): Promise<AsyncIterable<{ readonly type: "stdout" | "stderr"; readonly data: Uint8Array }>>;
  };

  files: {
    read(
      who: Principal,
      id: string,
      path: string,
      range: { offset?: number; length?: number },
      signal?: AbortSignal,
    ): Promise<{ info: FileInfo; body: AsyncIterable<Uint8Array> }>;
    write(
      who: Principal,
      id: string,
      path: string,
      body: AsyncIterable<Uint8Array>,
      options: { mode?: number },
      signal?: AbortSignal,
    ): Promise<FileInfo>;
    list(who: Principal, id: string, path: string, options: { depth: number }): Promise<FileInfo[]>;
    stat(who: Principal, id: string, path: string): Promise<FileInfo>;
    mkdir(who: Principal, id: string, path: string, options: { parents: boolean; mode?: number }): Promise<void>;
    rename(who: Principal, id: string, from: string, to: string, options: { replace: boolean }): Promise<void>;
    remove(who: Principal, id: string, path: string, options: { recursive: boolean }): Promise<void>;
    chmod(who: Principal, id: string, path: string, mode: number): Promise<void>;
    watch(who: Principal, id: string, path: string, options: WatchOptions, signal: AbortSignal): Promise<AsyncIterable<FileEvent>>;
    exportTree(who: Principal, id: string, path: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
    importTree(who: Principal, id: string, path: string, tar: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
  };

  network: {
    get(who: Principal, id: string): Promise<NetworkView>;
    /** Replaces rules and limits within profile and floor; a dry run only says what would change. */
    update(who: Principal, id: string, request: NetworkUpdate): Promise<NetworkChange>;
    /** What the boundary decided, oldest first, from after `after`. `denied`: only what no rule allowed. */
    log(who: Principal, id: string, query: { denied?: boolean; after?: number; limit: number }): Promise<NetworkLogPage>;
    /** The same as it is decided, until the sandbox has ended. */
    followLog(who: Principal, id: string, query: { denied?: boolean; after?: number }, signal: AbortSignal): AsyncIterable<NetworkVerdict>;
    /** Rules that would have allowed what was refused, for a person to review. */
    suggest(who: Principal, id: string): Promise<NetworkSuggestion>;
    /** What a profile says to an address; nothing is made. */
    check(who: Principal, request: NetworkCheckRequest): Promise<NetworkCheck>;
    /** No sandbox may reach this `ip:port` from now on, whatever its rules say: for what listens for the control plane. */
    protect(address: string): Promise<void>;
  };

  ports: {
    /**
     * A connection to a TCP port on the sandbox's loopback. Whoever may use the sandbox reaches every port of it, a visitor
     * the published one whose generation and serial he was let in by. Ends when the signal aborts, when the sandbox ends, and
     * for visitors when the port is unpublished or their key is revoked (noticed within 5 s where another process did it).
     *
     * @throws SandboxerError `port_closed` where nothing listens, `quota_exceeded` beyond 512 connections of one sandbox,
     * `capability_unsupported` where the backend has no ports, `not_found` for a visitor of what is not published (any more).
     */
    connect(who: Principal | Visitor, id: string, port: number, signal?: AbortSignal): Promise<PortConnection>;
    /** Throws `policy_denied` where rules keep the visitor out. For each request over a connection that was made for an earlier one. */
    mayVisit(who: Visitor, id: string, port: number): Promise<void>;
    /** What is published of a port and can be visited now; undefined for everything else, whatever the reason. */
    published(id: string, port: number): Promise<Publication | undefined>;
    list(who: Principal, id: string): Promise<Publication[]>;
    /** Throws `policy_denied` for a port or a visibility that neither profile nor operator allows. */
    publish(who: Principal, id: string, request: PublishRequest): Promise<Publication>;
    /** Ends the visits that are under way too. Throws `not_found` where it is not published. */
    unpublish(who: Principal, id: string, port: number): Promise<void>;
    /** Uses up a one-time address; false where it was used before. Survives restarts. */
    redeem(grant: string, expiresAt: number): Promise<boolean>;
  };

  profiles: {
    list(who: Principal): Promise<ProfileRecord[]>;
    /** `name` (newest) or `name@version`. */
    get(who: Principal, reference: string): Promise<ProfileRecord>;
    /** Stores a new immutable version; the same version with the same content is answered as it is, with other content `conflict`. */
    apply(who: Principal, document: unknown): Promise<{ profile: ProfileRecord; created: boolean }>;
    /** What an operator says of a profile, for rules to ask: of one version, or of all that say nothing themselves. Replaces what was said. */
    label(who: Principal, reference: string, labels: readonly string[]): Promise<ProfileRecord>;
  };

  events: {
    list(who: Principal, query: EventQuery & { limit: number }): Promise<EventPage>;
    /** New events as they are written, from after `after`. */
    follow(who: Principal, query: EventQuery, signal: AbortSignal): AsyncIterable<LedgerEvent>;
    /** The CloudEvents source of this ledger: the same for all who share it, and after every restart. */
    source(): Promise<string>;
  };

  keys: {
    /** The key itself is in the answer once and stored only as a hash. */
    create(who: Principal, request: KeyRequest): Promise<{ key: KeyInfo; secret: string }>;
    list(who: Principal): Promise<KeyInfo[]>;
    revoke(who: Principal, id: string): Promise<KeyInfo>;
    /** A new secret for the same key; the one before works for the overlap. One that was rotated before ends at once. */
    rotate(who: Principal, id: string, request: KeyRotation): Promise<{ key: KeyInfo; secret: string }>;
    /**
     * As whom a sandbox's own tokens act: its maker, with the role, project and labels of the key, and no more scopes than to
     * read and to write. For doors that give out such tokens. Throws `sandbox_not_found`.
     */
    makerOf(sandboxId: string): Promise<{ who: Principal; metadata: Record<string, string> }>;
    /** Who a presented key is, or undefined. Constant work whether the key exists or not. */
    authenticate(secret: string): Promise<Principal | undefined>;
    /** Whether a key, by its id, exists, is neither revoked nor expired, and its tenant is not suspended. */
    holds(id: string): Promise<boolean>;
  };

  /** The tenant's own. A change holds for the next request of every sandbox that is bound to the secret. */
  secrets: {
    /** Stores a value. A name that has one is `conflict` unless `replace`, which makes a new version. */
    set(who: Principal, name: string, request: SecretRequest, options?: { replace?: boolean }): Promise<SecretInfo>;
    /** A new value under a name that has one: the old is gone. */
    rotate(who: Principal, name: string, request: SecretRequest): Promise<SecretInfo>;
    list(who: Principal): Promise<SecretInfo[]>;
    /** Revokes it: requests that need it are denied. Safe to repeat. */
    remove(who: Principal, name: string): Promise<SecretInfo>;
  };

  /**
   * Where events are told to. The tenant's own; an admin's are every tenant's. Another tenant's is `not_found`. A secret is in the answer
   * of `add` and of `rotate` once, and nowhere else.
   */
  webhooks: {
    /** Throws `policy_denied` for an address that the operator does not let, `quota_exceeded` beyond 20 of a tenant. */
    add(who: Principal, request: WebhookRequest): Promise<{ webhook: WebhookInfo; secret: string }>;
    list(who: Principal): Promise<WebhookInfo[]>;
    get(who: Principal, id: string): Promise<WebhookInfo>;
    update(who: Principal, id: string, request: WebhookChange): Promise<WebhookInfo>;
    remove(who: Principal, id: string): Promise<WebhookInfo>;
    /** A new secret; the one before signs too for 24 hours. */
    rotate(who: Principal, id: string): Promise<{ webhook: WebhookInfo; secret: string }>;
    /** Sends one event of the type `webhook.test` now. Takes up to 15 s; how it went is the result. */
    test(who: Principal, id: string, signal: AbortSignal): Promise<WebhookTestResult>;
    /** Tells again what was told, from a place on, or the dead letters. The ids stay the same. */
    replay(who: Principal, id: string, request: WebhookReplay): Promise<WebhookInfo>;
    deliveries(who: Principal, id: string, query: { state?: WebhookDelivery["state"]; limit: number }): Promise<WebhookDelivery[]>;
  };

  /** Who did what, chained by hashes. All but `denied` need the admin scope. */
  audit: {
    list(who: Principal, query: AuditQuery): Promise<AuditPage>;
    /** Reads all of it, so its cost grows with the log. A fault is the result, not an error. */
    verify(who: Principal, request: AuditVerifyRequest): Promise<AuditReport>;
    /** Writes the head down now; null where the log is empty. */
    anchor(who: Principal): Promise<AuditAnchor | null>;
    /** Writes down that someone was refused. Never throws; bounded for each who asks. */
    denied(who: Principal, denial: Denial): Promise<void>;
  };
  readonly budgets: MoneyEngine["budgets"];
  readonly accounts: MoneyEngine["accounts"];
  readonly money: MoneyEngine["money"];
  tenants: TenantVerbs;
  projects: ProjectVerbs;
  quotas: QuotaVerbs;
  /** The rules of admission. The operator on the machine may always read and replace them. */
  policy: PolicyVerbs;

  backends(who: Principal): Promise<BackendInfo[]>;
  /** Ranks backends for a request without creating. */
  route(who: Principal, request: CreateRequest): Promise<Route>;
  /** Control planes, hosts and leases of this ledger. For an admin. */
  fleet(who: Principal): Promise<Fleet>;
  /** Ends what has expired or idled out, settles what was left half-done, removes orphans. At start (`adopt`) and at every interval. `who`: the caller of a door; this process itself has none. */
  sweep(options?: { adopt?: boolean; who?: Principal }): Promise<SweepReport>;
  /** Ledger writable, sweeper alive, each backend's last answer. */
  health(): Promise<{ status: "ok" | "degraded"; checks: Record<string, { ok: boolean; detail: string | null }> }>;
  /** Counts for the metrics page: sandboxes by state and backend, execs by outcome, creates and errors by code, latency histograms. */
  metrics(who?: Principal): Promise<MetricSample[]>;
  /** Stops the timers and lets go of the providers; sandboxes live on. */
  close(): Promise<void>;
}

/** Which events. Absent: all that the one who asks may see. */
export interface EventQuery {
  sandboxId?: string;
  types?: readonly EventType[];
  /** Only those after this `seq`. */
  after?: number;
}

/** Which entries of the audit log: those that have all that is given. */
export interface AuditQuery {
  after?: number;
  limit: number;
  action?: string;
  actor?: string;
  target?: string;
  result?: "ok" | "denied";
}

/** A refusal: what was wanted, of what, and the error's code. */
export interface Denial {
  readonly action: string;
  readonly target: string | null;
  readonly code: string;
}
