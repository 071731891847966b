import { z } from "zod";
import { IsolationLevel } from "./capability.ts";
import { Env } from "./exec.ts";
import { Network } from "./network.ts";
import { Routing } from "./routing.ts";
import { OnExpire, OnIdle, OnUse, Persistence, ScopeKind } from "./sandbox.ts";
import { ProfileSecrets } from "./secret.ts";
import { Services } from "./services.ts";
import { Duration, Size } from "./units.ts";

export const ProfileName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "must be lower-case letters, digits and dashes, at most 63")
  .meta({ id: "ProfileName" });

const ResourcesInput = z.strictObject({
  cpu: z.number().min(0.05).max(1024).optional().meta({ description: "CPUs; a fraction is a share of one." }),
  memory: Size.refine((bytes) => bytes >= 16 * 1024 ** 2, "must be at least 16MiB")
    .refine((bytes) => bytes <= 4 * 1024 ** 4, "must be at most 4TiB")
    .optional(),
  disk: Size.refine((bytes) => bytes >= 1024 ** 2, "must be at least 1MiB")
    .refine((bytes) => bytes <= 64 * 1024 ** 4, "must be at most 64TiB")
    .optional(),
  inodes: z.int().min(64).max(1e9).optional(),
  pids: z.int().min(8).max(1e6).optional(),
  gpu: z.string().optional(),
});

const positive = (schema: typeof Duration) =>
  schema.refine((seconds) => seconds > 0, "must be more than 0").refine((seconds) => seconds <= 366 * 86_400, "must be at most 366d");

/** The four clocks that a profile sets; `exec_timeout` is each command's own. */
const LifetimeInput = z.strictObject({
  ttl: positive(Duration).optional().meta({ description: "Ends then unless renewed." }),
  max_life: positive(Duration).optional().meta({ description: "Ends then whatever happens." }),
  idle: positive(Duration).optional().meta({ description: "Ends after this long without use." }),
  ready_timeout: positive(Duration).optional(),
  on_idle: OnIdle.optional(),
  on_expire: OnExpire.optional(),
  on_use: OnUse.optional(),
});

/** A user inside: a name of the image's, or a number below 2^31; more would wrap to root in some runtimes. */
const User = z
  .string()
  .regex(/^([a-z_][a-z0-9_-]{0,31}|\d{1,10})(:\d{1,10})?$/, "must be a user name, or uid[:gid]")
  .refine((user) => (user.match(/\d{5,}/g) ?? []).every((id) => Number(id) < 2 ** 31), "ids must be below 2^31");

/** A profile as it is written: YAML or JSON, strict. Immutable once applied: a change is a new version. */
export const Profile = z
  .strictObject({
    kind: z.literal("profile"),
    name: ProfileName,
    version: z.int().min(1).max(999_999_999),
    description: z.string().max(500).optional(),
    isolation_level: z.strictObject({ min: IsolationLevel }).optional(),
    persistence: Persistence.optional(),
    scope: ScopeKind.optional(),
    workspace: z
      .strictObject({
        access: z.enum(["isolated", "ro", "rw"]).optional(),
        sync: z.enum(["mirror", "remote"]).optional(),
        path: z.string().optional(),
      })
      .optional(),
    image: z
      .string()
      .regex(/^(host|oci:\S+|snapshot:\S+)$/, 'must be "host", "oci:<reference>" or "snapshot:<id>"')
      .optional(),
    user: User.optional(),
    services: Services.optional().meta({ description: "What runs beside it, such as a database, in the words of a compose file." }),
    resources: ResourcesInput.optional(),
    lifetime: LifetimeInput.optional(),
    env: Env.optional(),
    setup: z
      .array(z.string().min(1))
      .max(64)
      .optional()
      .meta({ description: "Shell commands run as the sandbox's user before it is ready." }),
    allow_ptrace: z.boolean().optional().meta({ description: "Lets debuggers and strace work inside; widens the system calls allowed." }),
    network: Network.optional(),
    secrets: ProfileSecrets.optional(),
    routing: Routing.optional(),
    pool: z.strictObject({ warm: z.int().min(0).max(1000) }).optional(),
  })
  .meta({ id: "Profile" });
export type Profile = z.infer<typeof Profile>;

/** A stored profile. */
export const ProfileRecord = z
  .object({
    object: z.literal("profile"),
    name: z.string(),
    version: z.int(),
    digest: z.string().meta({ description: "sha256 over the canonical JSON of the document." }),
    shipped: z.boolean().meta({ description: "Comes with sand-boxer; seen by every tenant." }),
    labels: z.array(z.string()).meta({ description: "What an operator says of it, for rules of the policy." }),
    created_at: z.iso.datetime(),
    document: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "ProfileRecord" });
export type ProfileRecord = z.infer<typeof ProfileRecord>;

/** What a request may ask beside the profile. Where both say something, the narrower wins. */
export const Overrides = z.strictObject({
  ttl: positive(Duration).optional(),
  idle: positive(Duration).optional(),
  max_life: positive(Duration).optional(),
  ready_timeout: positive(Duration).optional(),
  on_idle: OnIdle.optional().meta({ description: "What idle does: terminate unless profile or request say otherwise." }),
  on_expire: OnExpire.optional().meta({ description: "What the ttl does; it then ends at max_life." }),
  on_use: OnUse.optional().meta({ description: "resume: use wakes it where it is paused or suspended." }),
  isolation_level: z.strictObject({ min: IsolationLevel }).optional(),
  resources: ResourcesInput.optional(),
  env: Env.optional(),
  network: Network.pick({ default: true, mode: true, allow: true, limits: true }).optional(),
  routing: Routing.optional(),
});
export type Overrides = z.infer<typeof Overrides>;
