import { requireAdmin } from "./access.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./engine.ts";
import type * as HubModule from "./hub/index.ts";

type Hub = typeof HubModule;

/** The hub's verbs, without loading what most commands never use. */
export function hubVerbs(ctx: Context): Pick<Engine, "webhooks" | "audit"> & { source: () => Promise<string> } {
  let loaded: Promise<Hub> | undefined;
  let denials: InstanceType<Hub["Denials"]> | undefined;
  const hub = (): Promise<Hub> => (loaded ??= import("./hub/index.ts"));
  const webhooks = async () => (await hub()).webhookVerbs(ctx);
  return {
    source: async () => (await hub()).eventSource(ctx),
    webhooks: {
      add: async (...given) => (await webhooks()).add(...given),
      list: async (...given) => (await webhooks()).list(...given),
      get: async (...given) => (await webhooks()).get(...given),
      update: async (...given) => (await webhooks()).update(...given),
      remove: async (...given) => (await webhooks()).remove(...given),
      rotate: async (...given) => (await webhooks()).rotate(...given),
      test: async (...given) => (await webhooks()).test(...given),
      replay: async (...given) => (await webhooks()).replay(...given),
      deliveries: async (...given) => (await webhooks()).deliveries(...given),
    },
    audit: {
      list: async (who, query) => (await hub()).auditPage(ctx, who, query),
      verify: async (who, request) => (await hub()).verifyAudit(ctx, who, request),
      async anchor(who) {
        const { anchorAudit } = await hub();
        requireAdmin(who, "anchoring the audit log");
        return anchorAudit(ctx, { now: true });
      },
      async denied(who, denial) {
        const { Denials } = await hub();
        await (denials ??= new Denials(ctx)).write(who, denial);
      },
    },
  };
}
