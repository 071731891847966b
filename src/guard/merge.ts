import {
  type Config,
  type CreateRequest,
  ISOLATION_LEVELS,
  type IsolationLevel,
  type Overrides,
  type Profile,
  type Resources,
  type Sandbox,
  type Services,
} from "../contract/index.ts";
import { type MergedNetwork, mergeNetwork } from "./merge-network.ts";
import { mergeRest, mergeUse } from "./merge-rest.ts";
import { type MergedRouting, mergeRouting } from "./merge-routing.ts";

export type Floor = NonNullable<Config["floor"]>;
/** A create request as the contract's schema reads it: seconds and bytes. */
export type Request = Omit<CreateRequest, keyof Overrides> & Overrides;

/** What a sandbox will be: profile, request and operator floor in one. Durations in seconds. */
export interface Settings {
  readonly isolationMin: IsolationLevel;
  readonly resources: Resources;
  readonly ttl: number;
  readonly maxLife: number;
  readonly idle: number | null;
  readonly readyTimeout: number;
  readonly onIdle: Sandbox["lifetime"]["on_idle"];
  readonly onExpire: Sandbox["lifetime"]["on_expire"];
  readonly onUse: Sandbox["lifetime"]["on_use"];
  readonly image: string;
  readonly user: string | undefined;
  readonly services: Services | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly setup: readonly string[];
  readonly allowPtrace: boolean;
  /** null: nothing can be reached, and no request of its own can change that. */
  readonly network: MergedNetwork | null;
  readonly routing: MergedRouting;
  /** Fields that were asked for wider than they were given. */
  readonly narrowed: readonly string[];
}

const MIB = 1024 ** 2;

/** What holds where neither profile nor request says anything. */
export const DEFAULTS = {
  resources: { cpu: 1, memory: 512 * MIB, disk: 2048 * MIB, inodes: 200_000, pids: 256 },
  ttl: 30 * 60,
  maxLife: 8 * 3600,
  readyTimeout: 60,
  isolationMin: "container",
} as const;

interface Bounds {
  readonly field: string;
  readonly floor: number | undefined;
  readonly profile: number | undefined;
  readonly request: number | undefined;
}

/** The smallest of those that say something; the default only where neither profile nor request does. */
function narrowest({ field, floor, profile, request }: Bounds, fallback: number, narrowed: Set<string>): number {
  const asked = request ?? profile;
  const given = Math.min(request ?? Infinity, profile ?? (request === undefined ? fallback : Infinity), floor ?? Infinity);
  if (asked !== undefined && given < asked) narrowed.add(field);
  return given;
}

function strongest(levels: readonly (IsolationLevel | undefined)[]): IsolationLevel | undefined {
  return levels.filter((level) => level !== undefined).toSorted((a, b) => ISOLATION_LEVELS.indexOf(b) - ISOLATION_LEVELS.indexOf(a))[0];
}

/** Operator floor, profile, request: the narrower wins, always, and `narrowed` says where it did. Environment variables of the request override the profile's. */
export function mergeSettings(floor: Floor, profile: Profile, request: Request): Settings {
  const narrowed = new Set<string>();
  const life = profile.lifetime ?? {};
  const resource = (name: "cpu" | "memory" | "disk" | "inodes" | "pids") =>
    narrowest(
      {
        field: `resources.${name}`,
        floor: floor.resources?.[name],
        profile: profile.resources?.[name],
        request: request.resources?.[name],
      },
      DEFAULTS.resources[name],
      narrowed,
    );
  const clock = (name: "ttl" | "max_life" | "idle", fallback: number) =>
    narrowest({ field: name, floor: floor[name], profile: life[name], request: request[name] }, fallback, narrowed);

  const maxLife = clock("max_life", DEFAULTS.maxLife);
  const ttl = clock("ttl", DEFAULTS.ttl);
  if (ttl > maxLife && (request.ttl ?? life.ttl) !== undefined) narrowed.add("ttl");
  const idle = clock("idle", Infinity);

  const asked = strongest([request.isolation_level?.min, request.routing?.min_isolation]) ?? profile.isolation_level?.min;
  const isolationMin =
    strongest([
      floor.isolation_level?.min,
      profile.isolation_level?.min,
      profile.routing?.min_isolation,
      request.isolation_level?.min,
      request.routing?.min_isolation,
    ]) ?? DEFAULTS.isolationMin;
  if (asked !== undefined && asked !== isolationMin) narrowed.add("isolation_level.min");

  const onIdle = mergeRest(life.on_idle, request.on_idle) ?? "terminate";
  const onExpire = mergeRest(life.on_expire, request.on_expire) ?? "terminate";
  const onUse = mergeUse(life.on_use, request.on_use) ?? "refuse";
  for (const [field, asked, given] of [
    ["on_idle", request.on_idle, onIdle],
    ["on_expire", request.on_expire, onExpire],
    ["on_use", request.on_use, onUse],
  ])
    // prettier-ignore
    if (field !== undefined && asked !== undefined && asked !== given) narrowed.add(field);

  return {
    isolationMin,
    resources: {
      cpu: resource("cpu"),
      memory_bytes: resource("memory"),
      disk_bytes: resource("disk"),
      inodes: resource("inodes"),
      pids: resource("pids"),
    },
    ttl: Math.min(ttl, maxLife),
    maxLife,
    idle: idle === Infinity ? null : idle,
    readyTimeout: narrowest(
      { field: "ready_timeout", floor: undefined, profile: life.ready_timeout, request: request.ready_timeout },
      DEFAULTS.readyTimeout,
      narrowed,
    ),
    onIdle,
    onExpire,
    onUse,
    image: profile.image ?? "host",
    user: profile.user,
    services: profile.services,
    env: { ...profile.env, ...request.env },
    setup: profile.setup ?? [],
    allowPtrace: profile.allow_ptrace ?? false,
    network: mergeNetwork(floor.network ?? {}, profile.network ?? {}, request.network, (field) => narrowed.add(field)),
    routing: mergeRouting(floor.routing ?? {}, profile.routing ?? {}, request.routing ?? {}, (field) => narrowed.add(field)),
    narrowed: [...narrowed].sort(),
  };
}
