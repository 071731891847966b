import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "hono";
import type { Logger, Principal, Telemetry } from "../contract/index.ts";
import type { Engine } from "../engine/engine.ts";
import { isClosed, isComplete } from "./answered.ts";
import type { ServerLimits } from "./limits.ts";
import type { HttpCounter } from "./metrics.ts";
import type { CallKind, OpenCalls } from "./open-calls.ts";
import type { PreviewAddresses } from "./preview/addresses.ts";

/** What every route works with. */
export interface Service {
  readonly engine: Engine;
  readonly log: Logger;
  readonly version: string;
  readonly limits: ServerLimits;
  readonly open: OpenCalls;
  readonly counter: HttpCounter;
  readonly telemetry: Telemetry;
  /** How published ports are reached; absent where they are not served. */
  readonly addresses?: PreviewAddresses;
}

/** Where a request came in. */
export interface Door {
  /** Who a request without a key is; undefined where a key is needed. */
  readonly principal: Principal | undefined;
  /** Whether only names of this machine are taken as Host: keeps a web page from reaching a loopback listener by DNS rebinding. */
  readonly loopback: boolean;
}

export interface Bindings {
  readonly door: Door;
  /** Node's own objects where a listener took the request; absent where `fetch` was called in this process. */
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
}

export type HttpContext = Context<{ Bindings: Bindings }>;

/** One request on its way through a route. */
export class Call<Query = unknown, Body = unknown> {
  readonly service: Service;
  readonly context: HttpContext;
  readonly requestId: string;
  readonly who: Principal;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly kind: CallKind;
  /** Set where the answer goes on after the route has returned. */
  streaming = false;
  #cancel: AbortController | undefined;

  constructor(fields: {
    service: Service;
    context: HttpContext;
    requestId: string;
    who: Principal;
    params: Readonly<Record<string, string>>;
    query: Query;
    body: Body;
    kind: CallKind;
  }) {
    this.service = fields.service;
    this.context = fields.context;
    this.requestId = fields.requestId;
    this.who = fields.who;
    this.params = fields.params;
    this.query = fields.query;
    this.body = fields.body;
    this.kind = fields.kind;
  }

  get engine(): Engine {
    return this.service.engine;
  }

  /** The sandbox's id, or the key's, or the profile's name: whatever the route calls `{id}`. */
  get id(): string {
    return this.params["id"] ?? "";
  }

  get incoming(): IncomingMessage | undefined {
    return this.context.env.incoming;
  }

  get outgoing(): ServerResponse | undefined {
    return this.context.env.outgoing;
  }

  get isHead(): boolean {
    return this.context.req.method === "HEAD";
  }

  accepts(type: string): boolean {
    return this.context.req.header("accept")?.includes(type) ?? false;
  }

  /** Aborted when the client goes away before its answer is complete, or when the server closes. Made when first asked for. */
  get signal(): AbortSignal {
    if (this.#cancel !== undefined) return this.#cancel.signal;
    const cancel = new AbortController();
    this.#cancel = cancel;
    const { open } = this.service;
    open.register(cancel, this.kind);
    const { outgoing } = this;
    if (outgoing === undefined) {
      const { signal } = this.context.req.raw;
      if (signal.aborted) cancel.abort(signal.reason);
      else signal.addEventListener("abort", () => cancel.abort(signal.reason), { once: true, signal: cancel.signal });
    } else if (isClosed(outgoing)) {
      this.release();
      cancel.abort(gone());
    } else {
      outgoing.once("close", () => {
        open.forget(cancel);
        if (!isComplete(outgoing)) cancel.abort(gone());
      });
    }
    return cancel.signal;
  }

  /** Ends the work of this call: the reader of an in-process answer stopped reading. */
  abandon(): void {
    this.#cancel?.abort(gone());
    this.release();
  }

  /** The answer is complete: nothing is left that closing the server would have to end. */
  release(): void {
    if (this.#cancel !== undefined) this.service.open.forget(this.#cancel);
  }
}

function gone(): DOMException {
  return new DOMException("the client went away", "AbortError");
}
