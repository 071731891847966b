import { connect, type OnReadOpts, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import type { EgressPolicy } from "../../../contract/network.ts";
import { EgressRefusal, type Target } from "../inspect/types.ts";
import { addressFault, isAddress } from "../policy/index.ts";
import { Resolution } from "./resolve.ts";

/** Milliseconds for one address, and how many addresses of a name are tried. */
const CONNECT_MS = 10_000;
const MAX_TRIES = 4;
/** How long the list of the host's own addresses is believed. Milliseconds. */
const OWN_MS = 2000;

export interface DiallerOptions {
  /** `ip` or `ip:port`; the system's unless given. */
  readonly resolvers?: readonly string[];
  /** `ip:port` of what no rule opens: where the control plane listens. 0.0.0.0 stands for every address of the host. */
  readonly closed?: readonly string[];
}

/** Dials for all sandboxes: the only way out. What is dialled is an address that was checked, never a name. */
export class Dialler {
  readonly #names: Resolution;
  readonly #closed: Set<string>;
  #own: { readonly at: number; readonly addresses: ReadonlySet<string> } | undefined;

  constructor({ resolvers, closed = [] }: DiallerOptions) {
    this.#names = new Resolution(resolvers);
    this.#closed = new Set(closed);
  }

  /** What no rule opens, in addition; answers whether any of it is new. */
  close(addresses: readonly string[]): boolean {
    const before = this.#closed.size;
    for (const address of addresses) this.#closed.add(address);
    return this.#closed.size > before;
  }

  get closed(): readonly string[] {
    return [...this.#closed];
  }

  /** Why the address may not be dialled under the policy; null where it may. */
  fault(policy: EgressPolicy, address: string, port: number): string | null {
    const own = this.#ownAddresses();
    const everywhere = this.#closed.has(`0.0.0.0:${port}`) && (own.has(address) || address.startsWith("127."));
    if (everywhere || this.#closed.has(`${address}:${port}`)) return `${address}:${port} is the control plane, and is never reachable`;
    return addressFault(policy, address, port, own);
  }

  /**
   * Connects to the target. Every address that its name has must pass, and one of them is dialled; nothing is asked of DNS again. With `onread`
   * the socket is paused, and is read by that.
   *
   * @throws EgressRefusal `address_forbidden`; else the failure of DNS or of the last address.
   */
  async dial({ host, port }: Target, fault: (address: string) => string | null, onread?: OnReadOpts): Promise<Socket> {
    const addresses = isAddress(host) ? [host] : await this.#names.addressesOf(host);
    for (const address of addresses) {
      const found = fault(address);
      if (found !== null) throw new EgressRefusal("address_forbidden", isAddress(host) ? found : `${host} is at ${address}: ${found}`);
    }
    let last: unknown = new Error(`${host} has no address`);
    for (const address of addresses.slice(0, MAX_TRIES)) {
      try {
        return await connected(address, port, onread);
      } catch (thrown) {
        last = thrown;
      }
    }
    throw last;
  }

  #ownAddresses(): ReadonlySet<string> {
    const now = performance.now();
    if (this.#own !== undefined && now - this.#own.at < OWN_MS) return this.#own.addresses;
    const addresses = new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []));
    this.#own = { at: now, addresses };
    return addresses;
  }
}

function connected(host: string, port: number, onread: OnReadOpts | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, ...(onread === undefined ? {} : { onread }) });
    if (onread !== undefined) socket.pause();
    const failed = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => failed(new Error(`${host}:${port} did not answer within ${CONNECT_MS / 1000} s`)), CONNECT_MS);
    socket.once("error", failed);
    socket.once("connect", () => {
      clearTimeout(timer);
      // From here on a failure is told by the socket's close.
      socket.off("error", failed).on("error", () => {});
      resolve(socket);
    });
  });
}
