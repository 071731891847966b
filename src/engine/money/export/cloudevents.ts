import type { StayWithUsage } from "../../../ledger/index.ts";

/** A CloudEvent 1.0. */
interface CloudEvent {
  readonly specversion: "1.0";
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * A settled stay as a usage event: the subject is the tenant, whom a meter counts for, and the id is the stay's own, so that a consumer
 * that drops ids it has seen counts each once. OpenMeter takes such events as they are.
 */
export function toCloudEvents(stay: StayWithUsage): CloudEvent[] {
  if (stay.settled_at === null) return [];
  return [
    {
      specversion: "1.0",
      id: `${stay.sandbox_id}-${stay.generation}`,
      source: "sand-boxer",
      type: "dev.sandboxer.usage.settled.v1",
      subject: stay.tenant,
      time: new Date(stay.settled_at).toISOString(),
      datacontenttype: "application/json",
      data: {
        sandbox_id: stay.sandbox_id,
        generation: stay.generation,
        profile: stay.profile,
        backend: stay.backend,
        key_id: stay.key_id === "" ? null : stay.key_id,
        agent: stay.agent,
        account: stay.account,
        started_at: new Date(stay.usage_opened_at).toISOString(),
        ended_at: new Date(stay.closed_at ?? stay.settled_at).toISOString(),
        creates: stay.creates,
        vcpu_seconds: stay.vcpu_seconds ?? 0,
        mem_mib_seconds: stay.mem_mib_seconds ?? 0,
        disk_mib_seconds: stay.disk_mib_seconds ?? 0,
        egress_bytes: stay.egress_bytes_up,
        cost_micro_usd: stay.cost,
        precision: stay.precision,
        confirmed: stay.confirmed === 1,
      },
    },
  ];
}
