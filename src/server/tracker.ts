import { isComplete } from "./answered.ts";
import type { HttpContext, Service } from "./call.ts";

/** What is found out about a request while it is answered. */
export interface Tracker {
  who(tenant: string, keyId: string | null): void;
  answered(status: number, code?: string): void;
}

/**
 * Counts a request as open until its connection has its answer, and writes its line in the access log then. No query, no
 * body, no key.
 *
 * @param route Its template, never an address: the number of series stays bounded.
 */
export function tracker(service: Service, context: HttpContext, requestId: string, route: string): Tracker {
  const startedAt = performance.now();
  const { outgoing } = context.env;
  let fields: { tenant?: string; key_id?: string | null; code?: string } = {};
  const done = (status: number, complete: boolean): void => {
    service.counter.count(context.req.method, route, status);
    const duration = Math.round((performance.now() - startedAt) * 1000) / 1000;
    service.log.info(
      { request_id: requestId, method: context.req.method, path: context.req.path, status, complete, duration_ms: duration, ...fields },
      "request",
    );
  };
  if (outgoing !== undefined) {
    service.open.enter();
    outgoing.once("close", () => {
      service.open.leave();
      done(outgoing.headersSent ? outgoing.statusCode : 499, isComplete(outgoing));
    });
  }
  return {
    who(tenant, keyId) {
      fields = { tenant, key_id: keyId };
    },
    answered(status, code) {
      if (code !== undefined) fields = { ...fields, code };
      if (outgoing === undefined) done(status, true);
    },
  };
}
