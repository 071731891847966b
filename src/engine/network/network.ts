import type { Context } from "../context.ts";
import type { Engine } from "../engine.ts";
import { checkNetwork } from "./check.ts";
import { followLog, logPage } from "./log.ts";
import { networkOf } from "./read.ts";
import { suggest } from "./suggest.ts";
import { updatePolicy } from "./update.ts";

/** Everything about egress that a door may ask. */
export function network(ctx: Context): Engine["network"] {
  return {
    get: (who, id) => networkOf(ctx, who, id),
    update: (who, id, request) => updatePolicy(ctx, who, id, request),
    log: (who, id, query) => logPage(ctx, who, id, query),
    followLog: (who, id, query, signal) => followLog(ctx, who, id, query, signal),
    suggest: (who, id) => suggest(ctx, who, id),
    protect: (address) => ctx.boundary.protect(address),
    check: (who, request) => checkNetwork(ctx, who, request),
  };
}
