import { SandboxerError } from "../contract/errors.ts";
import type { NetworkChange, NetworkLogPage, NetworkSuggestion, NetworkUpdate, NetworkView } from "../contract/network-api.ts";
import type { NetworkVerdict } from "../contract/network.ts";
import { failureIn } from "./failure.ts";
import { serverEvents } from "./sse.ts";
import { query, sleep, type Transport } from "./transport.ts";

export interface NetworkLogOptions {
  /** Only what no rule allowed; with mode audit also what it let out. */
  denied?: boolean;
  /** Only entries after this `seq`. */
  after?: number;
  /** Go on with new ones until the sandbox has ended. False unless given. */
  follow?: boolean;
  signal?: AbortSignal;
}

const RECONNECT_MS = 500;
const PAGE = 500;

/** What a sandbox may reach, and what was decided of what it tried. */
export class Network {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, sandboxId: string) {
    this.#transport = transport;
    this.#path = `/v1/sandboxes/${encodeURIComponent(sandboxId)}/network`;
  }

  /** The policy in force, whether the boundary serves it, and what moved. */
  async get(): Promise<NetworkView> {
    return this.#transport.json<NetworkView>({ method: "GET", path: this.#path });
  }

  /** Replaces all rules and limits, within profile and operator's floor; `dry_run: true` only says what would change. */
  async update(update: NetworkUpdate): Promise<NetworkChange> {
    return this.#transport.json<NetworkChange>({ method: "PATCH", path: this.#path, json: update });
  }

  /** Rules that would have allowed what was denied, for a person to review. */
  async suggest(): Promise<NetworkSuggestion> {
    return this.#transport.json<NetworkSuggestion>({ method: "GET", path: `${this.#path}/suggest` });
  }

  /** Connections, requests and names with what was decided of each, oldest first. A broken connection is taken up again where it broke. */
  async *log(options: NetworkLogOptions = {}): AsyncGenerator<NetworkVerdict, void, undefined> {
    let after = options.after;
    const { denied, signal } = options;
    for (;;) {
      const path = `${this.#path}/log${query({ denied, cursor: after, limit: PAGE })}`;
      const page = await this.#transport.json<NetworkLogPage>({ method: "GET", path, signal });
      yield* page.data;
      after = page.data.at(-1)?.seq ?? after;
      if (page.next_cursor === null) break;
    }
    while (options.follow === true) {
      try {
        const path = `${this.#path}/log${query({ denied, cursor: after, follow: true })}`;
        const { body } = await this.#transport.stream({ method: "GET", path, accept: "text/event-stream", signal });
        for await (const { event, data } of serverEvents(body)) {
          if (event === "error") throw failureIn((JSON.parse(data) as { error: { code: string; message: string } }).error);
          if (event === "end") return;
          const entry = JSON.parse(data) as NetworkVerdict;
          after = entry.seq;
          yield entry;
        }
      } catch (thrown) {
        if (signal?.aborted === true) throw new SandboxerError("canceled", "following the network log was canceled", { cause: thrown });
        if (thrown instanceof SandboxerError && !thrown.retryable) throw thrown;
      }
      await sleep(RECONNECT_MS, signal);
    }
  }
}
