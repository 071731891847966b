import { Resolver } from "node:dns/promises";

/** Milliseconds for one server, and how often each is asked. */
const TIMEOUT_MS = 3000;
const TRIES = 2;
/** Seconds for which an answer is believed at most; less where it says so itself. */
const MAX_TTL = 30;
const KEPT = 4096;
const NO_RECORD = new Set(["ENODATA", "ENOTFOUND"]);

/** Names to addresses, over DNS alone: the host's own hosts file is not for sandboxes. */
export class Resolution {
  readonly #resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  readonly #kept = new Map<string, { readonly until: number; readonly addresses: Promise<readonly string[]> }>();

  /** @param servers `ip` or `ip:port`; the system's unless given. */
  constructor(servers?: readonly string[]) {
    if (servers !== undefined) this.#resolver.setServers(servers);
  }

  /**
   * All addresses of a name: IPv4 where it has any, else IPv6.
   *
   * @throws Error with DNS's own code where there are none or nobody answers.
   */
  async addressesOf(name: string): Promise<readonly string[]> {
    const known = this.#kept.get(name);
    if (known !== undefined && known.until > performance.now()) return known.addresses;
    const asked = this.#ask(name);
    const addresses = asked.then((records) => records.map(({ address }) => address));
    // Whoever asks meanwhile waits for the same answer.
    this.#keep(name, Infinity, addresses);
    try {
      const ttl = Math.min(MAX_TTL, ...(await asked).map(({ ttl }) => ttl));
      this.#keep(name, performance.now() + ttl * 1000, addresses);
    } catch {
      // It is thrown below, to everyone who asked.
      this.#kept.delete(name);
    }
    return addresses;
  }

  #keep(name: string, until: number, addresses: Promise<readonly string[]>): void {
    this.#kept.delete(name);
    this.#kept.set(name, { until, addresses });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
    }
  }

  async #ask(name: string): Promise<readonly { readonly address: string; readonly ttl: number }[]> {
    try {
      return await this.#resolver.resolve4(name, { ttl: true });
    } catch (thrown) {
      if (!(thrown instanceof Error && "code" in thrown && NO_RECORD.has(String(thrown.code)))) throw thrown;
      return this.#resolver.resolve6(name, { ttl: true });
    }
  }
}
