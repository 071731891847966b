import type { EventPage, LedgerEvent } from "../contract/api.ts";
import type { CloudEvent } from "../contract/cloud-event.ts";
import { SandboxerError } from "../contract/errors.ts";
import { failureIn } from "./failure.ts";
import { serverEvents } from "./sse.ts";
import { query, sleep, type Transport } from "./transport.ts";

export interface EventOptions {
  /** Only this sandbox's. */
  sandboxId?: string;
  /** Only these types, or groups of them as `sandbox.*`. */
  types?: readonly string[];
  /** Only those after this `seq`; 0 is from the beginning. */
  after?: number;
  /** Go on with new ones as they are written; false ends after those that are there. True unless given. */
  follow?: boolean;
  signal?: AbortSignal;
}

const RECONNECT_MS = 500;
const PAGE = 500;

/**
 * Ledger events in order. A broken connection is taken up again after the last event seen, so none is lost or doubled;
 * it goes on until the iteration is left, the signal aborts, or the server refuses (a key revoked, say).
 */
export function ledgerEvents(transport: Transport, options: EventOptions): AsyncGenerator<LedgerEvent, void, undefined> {
  return told<LedgerEvent>(transport, options, { seqOf: ({ seq }) => seq });
}

/** The same as CloudEvents. */
export function cloudEvents(transport: Transport, options: EventOptions): AsyncGenerator<CloudEvent, void, undefined> {
  return told<CloudEvent>(transport, options, { seqOf: ({ id }) => Number(id), format: "cloudevents" });
}

interface Form<T> {
  readonly seqOf: (event: T) => number;
  readonly format?: string;
}

async function* told<T>(transport: Transport, options: EventOptions, { seqOf, format }: Form<T>): AsyncGenerator<T, void, undefined> {
  let after = options.after;
  const filters = { sandbox_id: options.sandboxId, type: options.types?.join(","), format };
  if (options.follow === false) {
    for (;;) {
      const page = await transport.json<Omit<EventPage, "data"> & { data: T[] }>({
        method: "GET",
        path: `/v1/events${query({ ...filters, after, limit: PAGE })}`,
        signal: options.signal,
      });
      yield* page.data;
      const last = page.data.at(-1);
      after = last === undefined ? after : seqOf(last);
      if (page.next_cursor === null || page.data.length === 0) return;
    }
  }
  for (;;) {
    try {
      const { body } = await transport.stream({
        method: "GET",
        path: `/v1/events${query({ ...filters, after })}`,
        accept: "text/event-stream",
        signal: options.signal,
        ...(after === undefined ? {} : { headers: { "last-event-id": String(after) } }),
      });
      for await (const { event, data } of serverEvents(body)) {
        if (event === "error") throw failureIn((JSON.parse(data) as { error: { code: string; message: string } }).error);
        const item = JSON.parse(data) as T;
        after = seqOf(item);
        yield item;
      }
    } catch (thrown) {
      if (options.signal?.aborted === true) throw new SandboxerError("canceled", "following events was canceled", { cause: thrown });
      if (thrown instanceof SandboxerError && !thrown.retryable) throw thrown;
    }
    await sleep(RECONNECT_MS, options.signal);
  }
}
