import type { ServiceState } from "../contract/beside.ts";
import { SandboxerError } from "../contract/errors.ts";
import { fromBase64 } from "./bytes.ts";
import { failureIn } from "./failure.ts";
import { serverEvents } from "./sse.ts";
import { query, type Transport } from "./transport.ts";

export interface ServiceLogOptions {
  /** Lines from the end to begin with; 1000 unless given. */
  tail?: number;
  /** Go on until the service ends. False unless given. */
  follow?: boolean;
  signal?: AbortSignal;
}

/** What the profile has run beside a sandbox. */
export class Services {
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, sandboxId: string) {
    this.#transport = transport;
    this.#path = `/v1/sandboxes/${encodeURIComponent(sandboxId)}/services`;
  }

  /** With their state and health. Throws `capability_unsupported` where the backend has none. */
  async list(): Promise<ServiceState[]> {
    return (await this.#transport.json<{ data: ServiceState[] }>({ method: "GET", path: this.#path })).data;
  }

  /** What a service wrote. Throws `not_found` for a name that is none, `backend_unavailable` where the log breaks off. */
  async *logs(
    name: string,
    { tail, follow, signal }: ServiceLogOptions = {},
  ): AsyncGenerator<{ readonly type: "stdout" | "stderr"; readonly data: Uint8Array }, void, undefined> {
    const { body } = await this.#transport.stream({
      method: "GET",
      path: `${this.#path}/${encodeURIComponent(name)}/logs${query({ tail, follow })}`,
      accept: "text/event-stream",
      signal,
    });
    for await (const { event, data } of serverEvents(body)) {
      if (event === "end") return;
      const said = JSON.parse(data) as
        | { type: "stdout" | "stderr"; data: string }
        | { type: "error"; error: Parameters<typeof failureIn>[0] };
      if (said.type === "error") throw failureIn(said.error);
      yield { type: said.type, data: fromBase64(said.data) };
    }
    throw new SandboxerError("backend_unavailable", `the log of service ${name} broke off`, { hint: "Ask for it again." });
  }
}
