import type { AddressRequest, PortAddress, PortInfo, PublishRequest } from "../contract/ports.ts";
import type { Transport } from "./transport.ts";

/** Ports of one sandbox that are reached from outside. */
export class Ports {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, sandboxId: string) {
    this.#transport = transport;
    this.#path = `/v1/sandboxes/${encodeURIComponent(sandboxId)}/ports`;
  }

  /**
   * Publishes a port; `private` and until the sandbox ends unless told otherwise. Addresses from before stop working. Throws
   * `policy_denied` for what neither profile nor operator allows.
   */
  async publish(port: number, options: Omit<PublishRequest, "port"> = {}): Promise<PortInfo> {
    return this.#transport.json<PortInfo>({ method: "POST", path: this.#path, json: { port, ...options } });
  }

  /** Those that the profile lists and those that were published since. */
  async list(): Promise<PortInfo[]> {
    return (await this.#transport.json<{ data: PortInfo[] }>({ method: "GET", path: this.#path })).data;
  }

  /** Takes it back, also one that the profile lists. Visits that are under way end. Throws `not_found` where it is not published. */
  async unpublish(port: number): Promise<void> {
    await this.#transport.done({ method: "DELETE", path: `${this.#path}/${port}` });
  }

  /**
   * An address that lets its holder in: into a private port once, in one browser; into a token port as often as he likes until it
   * expires (1 h unless told otherwise); a public port's is its plain one. Treat it as a secret.
   */
  async url(port: number, options: AddressRequest = {}): Promise<PortAddress> {
    return this.#transport.json<PortAddress>({ method: "POST", path: `${this.#path}/${port}/address`, json: options });
  }
}
