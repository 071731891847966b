import type { WebhookChange, WebhookDelivery, WebhookInfo, WebhookReplay, WebhookRequest, WebhookTestResult } from "../contract/webhook.ts";
import { query, type Transport } from "./transport.ts";

/** Where events are told to: `client.webhooks`. */
export class Webhooks {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** `secret` is in this answer once and nowhere else: the receiver checks signatures with it. */
  async add(request: WebhookRequest): Promise<WebhookInfo & { secret: string }> {
    return this.#transport.json({ method: "POST", path: "/v1/webhooks", json: request });
  }

  async list(): Promise<WebhookInfo[]> {
    return (await this.#transport.json<{ data: WebhookInfo[] }>({ method: "GET", path: "/v1/webhooks" })).data;
  }

  async get(id: string): Promise<WebhookInfo> {
    return this.#transport.json({ method: "GET", path: at(id) });
  }

  /** Disabled, it keeps its place; enabled again, it goes on from there. */
  async update(id: string, change: WebhookChange): Promise<WebhookInfo> {
    return this.#transport.json({ method: "PATCH", path: at(id), json: change, repeatable: true });
  }

  async remove(id: string): Promise<WebhookInfo> {
    return this.#transport.json({ method: "DELETE", path: at(id) });
  }

  /** A new secret, in this answer once. The one before signs too for 24 hours. */
  async rotate(id: string): Promise<WebhookInfo & { secret: string }> {
    return this.#transport.json({ method: "POST", path: `${at(id)}/rotate` });
  }

  /** Sends one event of the type `dev.sandboxer.webhook.test.v1` now, and resolves with how it went. */
  async test(id: string): Promise<WebhookTestResult> {
    return this.#transport.json({ method: "POST", path: `${at(id)}/test` });
  }

  /** Tells again everything after a `seq`, or the dead letters. The ids are those of the first time. */
  async replay(id: string, what: WebhookReplay): Promise<WebhookInfo> {
    return this.#transport.json({ method: "POST", path: `${at(id)}/replay`, json: what });
  }

  /** What was delivered last, and the dead letters; newest first. */
  async deliveries(id: string, options: { state?: WebhookDelivery["state"]; limit?: number } = {}): Promise<WebhookDelivery[]> {
    const path = `${at(id)}/deliveries${query({ state: options.state, limit: options.limit })}`;
    return (await this.#transport.json<{ data: WebhookDelivery[] }>({ method: "GET", path })).data;
  }
}

function at(id: string): string {
  return `/v1/webhooks/${encodeURIComponent(id)}`;
}
