import type {
  KeyInfo, KeyRequest, KeyRotation, ProjectInfo, ProjectRequest, QuotaInfo, QuotaRequest, TenantInfo, TenantRequest,
} from "../contract/access.ts"; // prettier-ignore
import { query, type Transport } from "./transport.ts";

async function list<T>(transport: Transport, path: string): Promise<T[]> {
  return (await transport.json<{ data: T[] }>({ method: "GET", path })).data;
}

/** API keys. Needs the admin scope. */
export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** `secret` is in this answer once and nowhere else. */
  async create(request: KeyRequest): Promise<KeyInfo & { secret: string }> {
    return this.#transport.json({ method: "POST", path: "/v1/keys", json: request });
  }

  async list(): Promise<KeyInfo[]> {
    return list(this.#transport, "/v1/keys");
  }

  /** A new secret for the same key; the one before works for the overlap, an hour unless given. */
  async rotate(id: string, request: KeyRotation = {}): Promise<KeyInfo & { secret: string }> {
    return this.#transport.json({ method: "POST", path: `/v1/keys/${encodeURIComponent(id)}/rotate`, json: request });
  }

  async revoke(id: string): Promise<KeyInfo> {
    return this.#transport.json({ method: "DELETE", path: `/v1/keys/${encodeURIComponent(id)}` });
  }
}

/** Tenants. Needs the admin scope. */
export class Tenants {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async create(request: TenantRequest): Promise<TenantInfo> {
    return this.#transport.json({ method: "POST", path: "/v1/tenants", json: request });
  }

  async list(): Promise<TenantInfo[]> {
    return list(this.#transport, "/v1/tenants");
  }

  /** No key of it is let in from the next request on; its sandboxes live until their end. */
  async suspend(name: string): Promise<TenantInfo> {
    return this.#change(name, true);
  }

  async resume(name: string): Promise<TenantInfo> {
    return this.#change(name, false);
  }

  async #change(name: string, suspended: boolean): Promise<TenantInfo> {
    return this.#transport.json({ method: "PATCH", path: `/v1/tenants/${encodeURIComponent(name)}`, json: { suspended } });
  }
}

/** Parts of a tenant. Making and removing them needs the admin scope. */
export class Projects {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async create(request: ProjectRequest): Promise<ProjectInfo> {
    return this.#transport.json({ method: "POST", path: "/v1/projects", json: request });
  }

  async list(): Promise<ProjectInfo[]> {
    return list(this.#transport, "/v1/projects");
  }

  /** Throws `conflict` while keys that work or live sandboxes are in it. */
  async remove(name: string, tenant?: string): Promise<void> {
    await this.#transport.done({ method: "DELETE", path: `/v1/projects/${encodeURIComponent(name)}${query({ tenant })}` });
  }
}

/** Limits of tenants, projects and keys. Needs the admin scope. */
export class Quotas {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Replaces both limits of a subject: `tenant:acme`, `project:acme/web` or `key:ky...`. */
  async set(request: QuotaRequest): Promise<QuotaInfo> {
    return this.#transport.json({ method: "PUT", path: "/v1/quotas", json: request });
  }

  async list(): Promise<QuotaInfo[]> {
    return list(this.#transport, "/v1/quotas");
  }

  async remove(subject: string): Promise<void> {
    await this.#transport.done({ method: "DELETE", path: `/v1/quotas${query({ subject })}` });
  }
}
