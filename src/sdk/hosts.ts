import type { HostChange, HostChanged, HostCheck, HostInfo, HostRequest } from "../contract/inventory.ts";
import type { Transport } from "./transport.ts";

/** Hosts that become backends while servers run. Needs the admin scope. */
export class Hosts {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** One that cannot be reached now is added all the same. */
  async add(request: HostRequest): Promise<HostInfo> {
    return this.#transport.json({ method: "POST", path: "/v1/hosts", json: request });
  }

  async list(): Promise<HostInfo[]> {
    return (await this.#transport.json<{ data: HostInfo[] }>({ method: "GET", path: "/v1/hosts" })).data;
  }

  /** Asks the host itself. That it does not answer is the result. */
  async check(name: string): Promise<HostCheck> {
    return this.#transport.json({ method: "POST", path: `${this.#path(name)}/check` });
  }

  /** Nothing new goes there; what lives there lives on, and is named. */
  async drain(name: string, draining = true): Promise<HostChanged> {
    return this.change(name, { draining });
  }

  /** Capacity is replaced whole. */
  async change(name: string, change: HostChange): Promise<HostChanged> {
    return this.#transport.json({ method: "PATCH", path: this.#path(name), json: change });
  }

  /** Throws `conflict` while sandboxes there have not ended. */
  async remove(name: string): Promise<void> {
    await this.#transport.done({ method: "DELETE", path: this.#path(name) });
  }

  #path(name: string): string {
    return `/v1/hosts/${encodeURIComponent(name)}`;
  }
}
