import type { BackendInfo, CreateRequest, LedgerEvent, SandboxPage, SweepReport } from "../contract/api.ts";
import type { Fleet } from "../contract/fleet.ts";
import type { CloudEvent } from "../contract/cloud-event.ts";
import type { NetworkCheck, NetworkCheckRequest } from "../contract/network-api.ts";
import type { ProfileRecord } from "../contract/profile.ts";
import type { Route } from "../contract/routing.ts";
import type { Sandbox as SandboxInfo, SandboxState } from "../contract/sandbox.ts";
import type { SecretInfo } from "../contract/secret.ts";
import { Keys, Projects, Quotas, Tenants } from "./access.ts";
import { Audit } from "./audit.ts";
import { cloudEvents, ledgerEvents, type EventOptions } from "./events.ts";
import { Hosts } from "./hosts.ts";
import { Money } from "./money.ts";
import { settle, type SandBoxerOptions } from "./options.ts";
import { Policy } from "./policy.ts";
import { Sandbox, type CreateOptions } from "./sandbox.ts";
import { query, Transport } from "./transport.ts";
import { Webhooks } from "./webhooks.ts";

export interface ListOptions {
  /** Only those in these states. All that have not ended, unless given, as the server decides. */
  states?: readonly SandboxState[];
  /** Only those with all of these labels. */
  metadata?: Record<string, string>;
  /** Every tenant's; needs the admin scope. */
  allTenants?: boolean;
  /** Sandboxes a page; the iteration goes over all pages whatever it is. */
  pageSize?: number;
  signal?: AbortSignal;
}

export interface SecretOptions {
  /** The only hosts that profiles may bind it to; a new value keeps those of before, unless given. */
  hosts?: string[];
}

function secretPath(name: string): string {
  return `/v1/secrets/${encodeURIComponent(name)}`;
}

/**
 * The client of a sand-boxer server. Holds no connection and no state: make as many as you like.
 *
 * @example
 * const client = new SandBoxer({ url: "http://127.0.0.1:8420", apiKey: "sbx_..." });
 * await using sandbox = await client.create({ profile: "python" });
 * const { stdout } = await sandbox.exec(["python3", "-c", "print(6 * 7)"]);
 */
export class SandBoxer {
  readonly #transport: Transport;
  /** Where events are told to. */
  readonly webhooks: Webhooks;
  /** Who did what, chained by hashes. */
  readonly audit: Audit;
  /** Usage, budgets and accounts. */
  readonly money: Money;

  constructor(options: SandBoxerOptions = {}) {
    this.#transport = new Transport(settle(options));
    this.money = new Money(this.#transport);
    this.webhooks = new Webhooks(this.#transport);
    this.audit = new Audit(this.#transport);
    this.keys = new Keys(this.#transport);
    this.tenants = new Tenants(this.#transport);
    this.projects = new Projects(this.#transport);
    this.quotas = new Quotas(this.#transport);
    this.policy = new Policy(this.#transport);
    this.hosts = new Hosts(this.#transport);
  }

  /** Makes a sandbox and resolves when commands can run. Retried on a retryable failure: its idempotency key keeps that from making two. */
  async create(options: CreateOptions = {}): Promise<Sandbox> {
    const { idempotencyKey = crypto.randomUUID(), signal, ...json } = options;
    const info = await this.#transport.json<SandboxInfo>({
      method: "POST",
      path: "/v1/sandboxes",
      json,
      headers: { "idempotency-key": idempotencyKey },
      signal,
      repeatable: true,
    });
    return new Sandbox(this.#transport, info);
  }

  /** A handle to a sandbox that exists. Throws `sandbox_not_found`. */
  async connect(id: string): Promise<Sandbox> {
    return new Sandbox(
      this.#transport,
      await this.#transport.json<SandboxInfo>({ method: "GET", path: `/v1/sandboxes/${encodeURIComponent(id)}` }),
    );
  }

  /** Sandboxes, newest first, page by page as the iteration needs them. */
  async *list(options: ListOptions = {}): AsyncGenerator<SandboxInfo, void, undefined> {
    const labels = Object.fromEntries(Object.entries(options.metadata ?? {}).map(([key, value]) => [`metadata.${key}`, value]));
    let cursor: string | undefined;
    do {
      const page = await this.#transport.json<SandboxPage>({
        method: "GET",
        path: `/v1/sandboxes${query({ state: options.states?.join(","), limit: options.pageSize, all_tenants: options.allTenants, cursor, ...labels })}`,
        signal: options.signal,
      });
      yield* page.data;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** What happened, in order, and what happens next. */
  events(options: EventOptions = {}): AsyncGenerator<LedgerEvent, void, undefined> {
    return ledgerEvents(this.#transport, options);
  }

  /** The same as CloudEvents 1.0. */
  cloudEvents(options: EventOptions = {}): AsyncGenerator<CloudEvent, void, undefined> {
    return cloudEvents(this.#transport, options);
  }

  /** The configured backends, as they were probed. */
  async backends(): Promise<BackendInfo[]> {
    return this.#list<BackendInfo>("/v1/backends");
  }

  /** Where a request would go and why, without creating. */
  async route(request: CreateRequest = {}): Promise<Route> {
    return this.#transport.json<Route>({ method: "POST", path: "/v1/route", json: request });
  }

  /** Control planes, hosts and leases of the server's ledger. Needs the admin scope. */
  async fleet(): Promise<Fleet> {
    return this.#transport.json<Fleet>({ method: "GET", path: "/v1/fleet" });
  }

  /** Ends what has expired and removes orphans, now. Needs the admin scope. */
  async sweep(): Promise<SweepReport> {
    return this.#transport.json<SweepReport>({ method: "POST", path: "/v1/sweep" });
  }

  readonly profiles = {
    list: async (): Promise<ProfileRecord[]> => this.#list<ProfileRecord>("/v1/profiles"),
    /** `name` (newest) or `name@version`. */
    get: async (reference: string): Promise<ProfileRecord> =>
      this.#transport.json({ method: "GET", path: `/v1/profiles/${encodeURIComponent(reference)}` }),
    /** Stores a new immutable version: a document, or its YAML text. The same version with other content is `conflict`. */
    apply: async (document: string | object): Promise<ProfileRecord> =>
      this.#transport.json(
        typeof document === "string"
          ? { method: "POST", path: "/v1/profiles", body: document, type: "application/yaml" }
          : { method: "POST", path: "/v1/profiles", json: document },
      ),
    /** What an operator says of it, for rules of the policy; a bare name means every version without labels of its own. Needs the admin scope. */
    label: async (reference: string, labels: string[]): Promise<ProfileRecord> =>
      this.#transport.json({ method: "PUT", path: `/v1/profiles/${encodeURIComponent(reference)}/labels`, json: { labels } }),
  };

  readonly network = {
    /** What a profile says to an address, and what would be needed; nothing is made. */
    check: async (request: NetworkCheckRequest): Promise<NetworkCheck> =>
      this.#transport.json({ method: "POST", path: "/v1/network/check", json: request, repeatable: true }),
  };

  readonly keys: Keys;
  readonly tenants: Tenants;
  readonly projects: Projects;
  readonly quotas: Quotas;
  readonly policy: Policy;
  /** Hosts that become backends while servers run. */
  readonly hosts: Hosts;

  /** Values that sandboxes use and never see. Changing them needs the scope `secrets`. */
  readonly secrets = {
    /** Stores a value. A name that has one is `conflict`, unless `replace`. `hosts`: the only ones that profiles may bind it to. */
    set: async (name: string, value: string, { replace = false, hosts }: SecretOptions & { replace?: boolean } = {}): Promise<SecretInfo> =>
      this.#transport.json({ method: "PUT", path: `${secretPath(name)}${replace ? "?replace=true" : ""}`, json: { value, hosts } }),
    /** A new value under a name that has one. The next request of every sandbox that is bound to it has the new one. */
    rotate: async (name: string, value: string, { hosts }: SecretOptions = {}): Promise<SecretInfo> =>
      this.#transport.json({ method: "POST", path: `${secretPath(name)}/rotate`, json: { value, hosts } }),
    /** Without their values: those are never given back. */
    list: async (): Promise<SecretInfo[]> => this.#list<SecretInfo>("/v1/secrets"),
    /** Revokes it: requests that need it are denied from now on. */
    remove: async (name: string): Promise<SecretInfo> => this.#transport.json({ method: "DELETE", path: secretPath(name) }),
  };

  async #list<T>(path: string): Promise<T[]> {
    return (await this.#transport.json<{ data: T[] }>({ method: "GET", path })).data;
  }
}
