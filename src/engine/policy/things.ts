import { type MountedWorkspace, type PortVisibility, type ProfileRecord, type Resources } from "../../contract/index.ts";
import { atLeast, egressFacts, type Facts, type Settings, type Subject, type Thing } from "../../guard/index.ts";
import type { SandboxRow } from "../../ledger/index.ts";

const MIB = 1024 ** 2;

/** The server itself. */
export const SERVER: Thing = { type: "Server", id: "server" };

export const tenantThing = (name: string): Thing => ({ type: "Tenant", id: name });

export function sandboxThing(row: SandboxRow): Thing {
  const isolation = row.isolation_effective ?? row.isolation_min;
  return {
    type: "Sandbox",
    id: row.id,
    tenant: row.tenant,
    ...(row.project === null ? {} : { project: row.project }),
    attributes: {
      tenant: row.tenant,
      project: row.project ?? "",
      profile: row.profile_name,
      profile_version: row.profile_version,
      backend: row.backend,
      state: row.state,
      isolation,
      isolation_at_least: atLeast(isolation),
    },
    tags: JSON.parse(row.metadata) as Record<string, string>,
  };
}

export function profileThing({ name, version, shipped, labels }: ProfileRecord, tenant: string): Thing {
  return { type: "Profile", id: name, attributes: { name, version, labels, shipped }, ...(shipped ? {} : { tenant }) };
}

/** What of a create only its profile and its request say. */
export interface Wish {
  readonly image: string;
  readonly setup: boolean;
  readonly ports: readonly { readonly port: number; readonly visibility?: PortVisibility | undefined }[];
  readonly secrets: readonly string[];
  readonly backends: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** The host directory that is mounted; null: none. */
  readonly workspace: MountedWorkspace | null;
  /** Micro-dollars; absent where it is not known. */
  readonly pricePerHour?: number | undefined;
}

/** The least it gets, and what it may use at most. */
export type Bounds = Pick<Settings, "isolationMin" | "ttl" | "maxLife" | "idle"> & {
  readonly resources: Resources;
  readonly egress: Facts;
};

/** Rounded up: a bound is not stepped around by a fraction. */
export function createFacts({ isolationMin, resources, ttl, maxLife, idle, egress }: Bounds, wish: Wish): Facts {
  return {
    isolation: isolationMin,
    isolation_at_least: atLeast(isolationMin),
    cpu_milli: Math.ceil(resources.cpu * 1000),
    memory_mib: Math.ceil(resources.memory_bytes / MIB),
    disk_mib: Math.ceil(resources.disk_bytes / MIB),
    pids: resources.pids,
    ttl: Math.ceil(ttl),
    max_life: Math.ceil(maxLife),
    idle: idle === null ? undefined : Math.ceil(idle),
    image: wish.image,
    egress,
    ports: wish.ports.map(({ port }) => port),
    public_ports: wish.ports.flatMap(({ port, visibility }) => (visibility === "public" ? [port] : [])),
    secrets: wish.secrets,
    setup: wish.setup,
    backends: wish.backends,
    workspace: wish.workspace?.access ?? "isolated",
    workspace_path: wish.workspace?.path,
    price_micros_per_hour: wish.pricePerHour,
    metadata: Object.entries(wish.metadata).map(([name, value]) => `${name}=${value}`),
  };
}

/** A create as rules see it, once it is decided what the sandbox would be. */
export function createSubject(settings: Settings, profile: ProfileRecord, tenant: string, wish: Wish): Subject {
  const egress = egressFacts(settings.network?.policy ?? null);
  return { resource: profileThing(profile, tenant), context: createFacts({ ...settings, egress }, wish) };
}
