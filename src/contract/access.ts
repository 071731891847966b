import { z } from "zod";
import { Duration } from "./units.ts";

/**
 * `read` sees, `write` makes and uses sandboxes, `secrets` stores, rotates and removes the tenant's secrets, `admin` does all of
 * this, sees every tenant, and manages keys, tenants, quotas and the policy.
 */
export const SCOPES = ["read", "write", "secrets", "admin"] as const;
export const Scope = z.enum(SCOPES).meta({ id: "Scope" });
export type Scope = z.infer<typeof Scope>;

/** What a key of a role may do. */
interface RoleTraits {
  readonly scopes: readonly Scope[];
  /** Actions that its scopes would let it do and the role does not. */
  readonly without: readonly string[];
  readonly about: string;
}

/** The roles that come with sand-boxer, the widest first. Others are names for an operator's own rules, and have the scopes that are given with them. */
export const ROLES = {
  admin: { scopes: ["read", "write", "secrets", "admin"], without: [], about: "everything, for every tenant" },
  operator: { scopes: ["read", "write", "secrets"], without: [], about: "everything of its tenant but keys, quotas and the policy" },
  agent: {
    scopes: ["read", "write"],
    without: ["profile.publish"],
    about: "makes and uses sandboxes, from profiles that others have published",
  },
  "read-only": { scopes: ["read"], without: [], about: "sees, and changes nothing" },
} as const satisfies Record<string, RoleTraits>;

/** What a key's role does not do though its scopes would; nothing for a key without one of ours. */
export function withheldFrom(role: string | undefined): readonly string[] {
  return role !== undefined && Object.hasOwn(ROLES, role) ? ROLES[role as keyof typeof ROLES].without : [];
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const NAME_RULE = "must be lower-case letters, digits and dashes, at most 63";

export const TenantName = z.string().regex(NAME, NAME_RULE);
export const ProjectName = z.string().regex(NAME, NAME_RULE);
export const RoleName = z.string().regex(NAME, NAME_RULE);

/** What an operator says of an agent or a profile, for rules to ask: `reviewed`. */
export const Labels = z
  .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "labels are letters, digits, . _ -, at most 63"))
  .max(32, "at most 32 labels");

const MAX_LIFE_SECONDS = 10 * 366 * 86_400;
const KeyLife = Duration.refine((seconds) => seconds >= 1 && seconds <= MAX_LIFE_SECONDS, "must be from 1s to 10 years");

/** Body of `POST /v1/keys`. */
export const KeyRequest = z
  .strictObject({
    name: z.string().min(1).max(128),
    tenant: TenantName.optional().meta({ description: "Your own unless given; a new name is a new tenant." }),
    project: ProjectName.optional().meta({ description: "It then makes and sees the sandboxes of this project alone. It must exist." }),
    role: RoleName.optional().meta({
      description: "admin, operator, agent or read-only: its scopes; another name is for your own rules and needs scopes.",
    }),
    scopes: z
      .array(Scope)
      .min(1)
      .optional()
      .meta({ description: "The role's, or read and write, unless given; never more than a role of ours has." }),
    labels: Labels.optional().meta({ description: "For rules to ask." }),
    expires_in: KeyLife.optional().meta({ description: "Seconds, or as in 30d. It never expires unless given." }),
  })
  .meta({ id: "KeyRequest" });
export type KeyRequest = z.input<typeof KeyRequest>;

/** Body of `POST /v1/keys/{id}/rotate`. */
export const KeyRotation = z
  .strictObject({
    overlap: Duration.refine((seconds) => seconds <= 30 * 86_400, "must be at most 30d")
      .optional()
      .meta({ description: "How long the old secret works beside the new one; 1h unless given, 0 ends it at once." }),
    expires_in: KeyLife.optional().meta({ description: "A new end, from now; as it was unless given." }),
  })
  .meta({ id: "KeyRotation" });
export type KeyRotation = z.input<typeof KeyRotation>;

export const KeyInfo = z
  .object({
    id: z.string(),
    object: z.literal("key"),
    name: z.string(),
    tenant: z.string(),
    project: z.string().nullable(),
    role: z.string().nullable().meta({ description: "null: it has its scopes and no role." }),
    scopes: z.array(Scope),
    labels: z.array(z.string()),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().nullable().meta({ description: "null: never." }),
    rotated_at: z.iso.datetime().nullable(),
    old_secret_until: z.iso.datetime().nullable().meta({ description: "After a rotation: how long the secret of before still works." }),
    revoked_at: z.iso.datetime().nullable(),
    last_used_at: z.iso.datetime().nullable(),
  })
  .meta({ id: "KeyInfo" });
export type KeyInfo = z.infer<typeof KeyInfo>;

export const TenantRequest = z
  .strictObject({ name: TenantName, description: z.string().max(500).optional() })
  .meta({ id: "TenantRequest" });
export type TenantRequest = z.input<typeof TenantRequest>;

export const TenantChange = z
  .strictObject({
    suspended: z.boolean().meta({ description: "No key of a suspended tenant is let in; its sandboxes live on until their end." }),
  })
  .meta({ id: "TenantChange" });
export type TenantChange = z.input<typeof TenantChange>;

export const TenantInfo = z
  .object({
    object: z.literal("tenant"),
    name: z.string(),
    description: z.string().nullable(),
    created_at: z.iso.datetime(),
    suspended_at: z.iso.datetime().nullable(),
    keys: z.int().meta({ description: "That work now." }),
    sandboxes: z.int().meta({ description: "That live now." }),
  })
  .meta({ id: "TenantInfo" });
export type TenantInfo = z.infer<typeof TenantInfo>;

export const ProjectRequest = z
  .strictObject({
    name: ProjectName,
    tenant: TenantName.optional().meta({ description: "Your own unless given." }),
    description: z.string().max(500).optional(),
  })
  .meta({ id: "ProjectRequest" });
export type ProjectRequest = z.input<typeof ProjectRequest>;

export const ProjectInfo = z
  .object({
    object: z.literal("project"),
    name: z.string(),
    tenant: z.string(),
    description: z.string().nullable(),
    created_at: z.iso.datetime(),
    keys: z.int().meta({ description: "That work now." }),
    sandboxes: z.int().meta({ description: "That live now." }),
  })
  .meta({ id: "ProjectInfo" });
export type ProjectInfo = z.infer<typeof ProjectInfo>;

/** Whose quota it is: `tenant:acme`, `project:acme/web`, `key:ky...`. */
export const QuotaSubject = z
  .string()
  .regex(
    /^(tenant:[a-z0-9-]{1,63}|project:[a-z0-9-]{1,63}\/[a-z0-9-]{1,63}|key:ky[0-9a-z]{22})$/,
    'must be "tenant:NAME", "project:TENANT/NAME" or "key:ID"',
  )
  .meta({ id: "QuotaSubject", examples: ["tenant:acme", "project:acme/web"] });

/** Body of `PUT /v1/quotas`. What is not given is not limited. */
export const QuotaRequest = z
  .strictObject({
    subject: QuotaSubject,
    concurrent: z.int().min(0).max(1_000_000).optional().meta({ description: "Live sandboxes at once." }),
    creates_per_minute: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .meta({ description: "Sandboxes begun in any 60 seconds, those that failed too." }),
  })
  .refine(
    ({ concurrent, creates_per_minute }) => concurrent !== undefined || creates_per_minute !== undefined,
    "give concurrent, creates_per_minute, or both",
  )
  .meta({ id: "QuotaRequest" });
export type QuotaRequest = z.input<typeof QuotaRequest>;

export const QuotaInfo = z
  .object({
    object: z.literal("quota"),
    subject: z.string(),
    concurrent: z.int().nullable(),
    creates_per_minute: z.int().nullable(),
    updated_at: z.iso.datetime(),
    used: z.object({ concurrent: z.int(), creates_per_minute: z.int() }).meta({ description: "Now, and in the last 60 seconds." }),
  })
  .meta({ id: "QuotaInfo" });
export type QuotaInfo = z.infer<typeof QuotaInfo>;

export const LabelsRequest = z.strictObject({ labels: Labels }).meta({ id: "LabelsRequest" });
export type LabelsRequest = z.input<typeof LabelsRequest>;

/** Who is asking, as the door found out. Tenant and project always come from here, never from a request's body. */
export interface Principal {
  tenant: string;
  key_id: string | null;
  scopes: readonly Scope[];
  /** The project it is confined to; the whole tenant unless there is one. */
  project?: string;
  role?: string;
  labels?: readonly string[];
  /** Where the request came from, for the audit log; absent within the process. */
  origin?: Origin;
}

/** Where a request came from. */
export interface Origin {
  /** The peer's address, or `unix`. */
  readonly address: string | null;
  readonly request_id: string | null;
}

/** The operator on the machine itself: the Unix socket and the in-process engine. */
export const LOCAL_OPERATOR: Principal = { tenant: "default", key_id: null, scopes: ["read", "write", "admin"] };
