import { respond } from "./respond.ts";
import type { Session } from "./session.ts";

/** GET /metrics of E2B's agent: what is used now. Of the CPU no share is known from one look, so none is told. */
export async function metrics({ engine, who, id, call }: Session): Promise<Response> {
  const [{ resources }, usage] = await Promise.all([engine.get(who, id), engine.usage(who, id)]);
  return respond(call, 200, {
    ts: Math.floor(Date.now() / 1000),
    cpu_count: Math.max(1, Math.ceil(resources.cpu)),
    mem_total: resources.memory_bytes,
    disk_total: resources.disk_bytes,
    ...(usage.memory_bytes === null ? {} : { mem_used: Math.round(usage.memory_bytes) }),
    ...(usage.disk_bytes === null ? {} : { disk_used: Math.round(usage.disk_bytes) }),
  });
}
