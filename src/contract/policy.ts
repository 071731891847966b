import { z } from "zod";
import { type Scope, TenantName } from "./access.ts";

/** What a rule may be about: the kind of thing that an action is done to. */
type PolicyResource = "Sandbox" | "Profile" | "Tenant" | "Secret" | "Key" | "Server";

interface ActionTraits {
  readonly on: PolicyResource;
  /** What a key must have; null: whoever holds an address of a published port. */
  readonly scope: Scope | null;
  /** The group it belongs to in rules: `action in Action::"use"`. */
  readonly group: "see" | "make" | "use" | "change" | "administer";
  /** What of the request a rule can ask; nothing unless given. */
  readonly context?: "Create" | "Run" | "File" | "Egress" | "Port" | "KeyWish" | "ProfileWish";
}

/** Every action that is asked for, at every door. Snapshot and fork are named before they exist, so that rules can be. */
export const POLICY_ACTIONS = {
  "sandbox.create": { on: "Profile", scope: "write", group: "make", context: "Create" },
  "sandbox.fork": { on: "Sandbox", scope: "write", group: "make", context: "Create" },
  "sandbox.snapshot": { on: "Sandbox", scope: "write", group: "make" },
  "sandbox.read": { on: "Sandbox", scope: "read", group: "see" },
  "sandbox.list": { on: "Tenant", scope: "read", group: "see" },
  "sandbox.renew": { on: "Sandbox", scope: "write", group: "use" },
  "sandbox.touch": { on: "Sandbox", scope: "write", group: "use" },
  "sandbox.pause": { on: "Sandbox", scope: "write", group: "use" },
  "sandbox.resume": { on: "Sandbox", scope: "write", group: "use" },
  "sandbox.destroy": { on: "Sandbox", scope: "write", group: "use" },
  "exec.run": { on: "Sandbox", scope: "write", group: "use", context: "Run" },
  "process.start": { on: "Sandbox", scope: "write", group: "use", context: "Run" },
  "process.read": { on: "Sandbox", scope: "read", group: "see" },
  "process.control": { on: "Sandbox", scope: "write", group: "use" },
  "file.read": { on: "Sandbox", scope: "read", group: "use", context: "File" },
  "file.write": { on: "Sandbox", scope: "write", group: "use", context: "File" },
  "network.read": { on: "Sandbox", scope: "read", group: "see" },
  "network.update": { on: "Sandbox", scope: "write", group: "change", context: "Egress" },
  "port.connect": { on: "Sandbox", scope: "write", group: "use", context: "Port" },
  "port.read": { on: "Sandbox", scope: "read", group: "see" },
  "port.publish": { on: "Sandbox", scope: "write", group: "change", context: "Port" },
  "port.unpublish": { on: "Sandbox", scope: "write", group: "change", context: "Port" },
  "port.visit": { on: "Sandbox", scope: null, group: "use", context: "Port" },
  "profile.read": { on: "Tenant", scope: "read", group: "see" },
  "profile.publish": { on: "Tenant", scope: "write", group: "change", context: "ProfileWish" },
  "profile.label": { on: "Tenant", scope: "admin", group: "administer", context: "ProfileWish" },
  "event.read": { on: "Tenant", scope: "read", group: "see" },
  "webhook.read": { on: "Tenant", scope: "read", group: "see" },
  "webhook.write": { on: "Tenant", scope: "write", group: "change" },
  "audit.read": { on: "Server", scope: "admin", group: "administer" },
  "secret.read": { on: "Tenant", scope: "read", group: "see" },
  "secret.write": { on: "Secret", scope: "secrets", group: "change" },
  "route.explain": { on: "Tenant", scope: "read", group: "see" },
  "backend.read": { on: "Server", scope: "read", group: "see" },
  "server.fleet": { on: "Server", scope: "admin", group: "administer" },
  "server.sweep": { on: "Server", scope: "admin", group: "administer" },
  "server.metrics": { on: "Server", scope: "admin", group: "administer" },
  "key.create": { on: "Tenant", scope: "admin", group: "administer", context: "KeyWish" },
  "key.read": { on: "Server", scope: "admin", group: "administer" },
  "key.rotate": { on: "Key", scope: "admin", group: "administer" },
  "key.revoke": { on: "Key", scope: "admin", group: "administer" },
  "tenant.read": { on: "Server", scope: "admin", group: "administer" },
  "tenant.write": { on: "Tenant", scope: "admin", group: "administer" },
  "project.read": { on: "Tenant", scope: "read", group: "see" },
  "project.write": { on: "Tenant", scope: "admin", group: "administer" },
  "quota.read": { on: "Server", scope: "admin", group: "administer" },
  "quota.write": { on: "Server", scope: "admin", group: "administer" },
  "money.read": { on: "Tenant", scope: "read", group: "see" },
  "money.write": { on: "Server", scope: "admin", group: "administer" },
  "money.consent": { on: "Tenant", scope: "write", group: "change" },
  "policy.read": { on: "Server", scope: "admin", group: "administer" },
  "policy.write": { on: "Server", scope: "admin", group: "administer" },
} as const satisfies Record<string, ActionTraits>;

/** An action that rules are about. */
export type PolicyAction = keyof typeof POLICY_ACTIONS;

export function traitsOfAction(action: PolicyAction): ActionTraits {
  return POLICY_ACTIONS[action];
}

const actionNames = Object.keys(POLICY_ACTIONS) as [PolicyAction, ...PolicyAction[]];
export const PolicyActionName = z.enum(actionNames).meta({ id: "PolicyAction" });

/** One file of rules, in Cedar. */
export const PolicyFile = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/, "must be a file name without a path"),
    text: z.string().max(256 * 1024),
  })
  .meta({ id: "PolicyFile" });
export type PolicyFile = z.infer<typeof PolicyFile>;

const PolicyFiles = z.array(PolicyFile).max(64);

/** Body of `POST /v1/policy/check`. */
export const PolicyCheckRequest = z.strictObject({ files: PolicyFiles }).meta({ id: "PolicyCheckRequest" });
export type PolicyCheckRequest = z.input<typeof PolicyCheckRequest>;

/** A rule as it was read. */
export const PolicyRule = z
  .object({ id: z.string(), effect: z.enum(["permit", "forbid"]), file: z.string(), line: z.int() })
  .meta({ id: "PolicyRule" });
export type PolicyRule = z.infer<typeof PolicyRule>;

export const PolicyWarning = z
  .object({ file: z.string(), line: z.int(), rule: z.string(), message: z.string() })
  .meta({ id: "PolicyWarning" });
export type PolicyWarning = z.infer<typeof PolicyWarning>;

export const PolicyReading = z
  .object({ object: z.literal("policy_reading"), digest: z.string(), rules: z.array(PolicyRule), warnings: z.array(PolicyWarning) })
  .meta({ id: "PolicyReading", description: "What the files say, where nothing is wrong with them." });
export type PolicyReading = z.infer<typeof PolicyReading>;

/** A live sandbox that could not be made, or used by whoever made it, under other rules. */
export const PolicyImpact = z
  .object({
    sandbox_id: z.string(),
    tenant: z.string(),
    profile: z.string(),
    key_id: z.string().nullable(),
    action: PolicyActionName,
    rule: z.string(),
  })
  .meta({ id: "PolicyImpact" });
export type PolicyImpact = z.infer<typeof PolicyImpact>;

/** Body of `PUT /v1/policy`. */
export const PolicyApplyRequest = z
  .strictObject({
    files: PolicyFiles.meta({ description: "All rules from now on. None turns the policy off: keys then do what their scopes let them." }),
    comment: z.string().max(500).optional(),
    expected_version: z
      .int()
      .min(0)
      .optional()
      .meta({ description: "The version it is meant to follow; another one in force is a conflict." }),
    dry_run: z.boolean().optional().meta({ description: "Only says which live sandboxes it would refuse." }),
  })
  .meta({ id: "PolicyApplyRequest" });
export type PolicyApplyRequest = z.input<typeof PolicyApplyRequest>;

/** Body of `POST /v1/policy/rollback`. */
export const PolicyRollbackRequest = z
  .strictObject({ version: z.int().min(0).meta({ description: "Whose rules hold again, as a new version; 0: none." }) })
  .meta({ id: "PolicyRollbackRequest" });
export type PolicyRollbackRequest = z.input<typeof PolicyRollbackRequest>;

export const PolicyVersion = z
  .object({
    object: z.literal("policy_version"),
    version: z.int().meta({ description: "0: there was never one." }),
    digest: z.string(),
    comment: z.string().nullable(),
    applied_at: z.iso.datetime().nullable(),
    applied_by: z.string().nullable().meta({ description: "The key's id; null: the operator on the machine." }),
    rolled_back_to: z.int().nullable(),
    rules: z.int().meta({ description: "0: no policy, keys do what their scopes let them." }),
    in_force: z.boolean(),
  })
  .meta({ id: "PolicyVersion" });
export type PolicyVersion = z.infer<typeof PolicyVersion>;

export const PolicyDocument = PolicyVersion.extend({ files: z.array(PolicyFile) }).meta({ id: "PolicyDocument" });
export type PolicyDocument = z.infer<typeof PolicyDocument>;

export const PolicyApplied = z
  .object({
    object: z.literal("policy_applied"),
    dry_run: z.boolean(),
    version: z.int().meta({ description: "What is in force now; of a dry run what is in force still." }),
    changed: z.boolean().meta({ description: "false: these rules were in force already." }),
    digest: z.string(),
    rules: z.array(PolicyRule),
    warnings: z.array(PolicyWarning),
    refuses: z
      .array(PolicyImpact)
      .meta({ description: "Live sandboxes that the rules would not let be made or used as they are. They live on." }),
  })
  .meta({ id: "PolicyApplied" });
export type PolicyApplied = z.infer<typeof PolicyApplied>;

const Facts = z.record(z.string(), z.unknown());

/** A request as rules see it: what is not given has a plain default. */
export const PolicyQuestion = z
  .strictObject({
    principal: z
      .strictObject({
        key: z.string().max(128).optional(),
        tenant: TenantName.optional(),
        project: z.string().max(63).optional(),
        role: z.string().max(63).optional(),
        labels: z.array(z.string().max(63)).optional(),
      })
      .optional(),
    action: PolicyActionName,
    resource: Facts.optional().meta({ description: "Attributes of the thing itself, as name, labels, tenant, profile." }),
    context: Facts.optional().meta({ description: "Attributes of the request, as max_life, isolation, egress." }),
  })
  .meta({ id: "PolicyQuestion" });
export type PolicyQuestion = z.input<typeof PolicyQuestion>;

/** Body of `POST /v1/policy/explain`. */
export const PolicyExplainRequest = z
  .strictObject({ request: PolicyQuestion, files: PolicyFiles.optional().meta({ description: "Instead of what is in force." }) })
  .meta({ id: "PolicyExplainRequest" });
export type PolicyExplainRequest = z.input<typeof PolicyExplainRequest>;

export const PolicyExplanation = z
  .object({
    object: z.literal("policy_explanation"),
    decision: z.enum(["allow", "deny"]),
    rule: z
      .string()
      .nullable()
      .meta({ description: "What decided: the first rule by id, default-deny where none permits; null: no policy is in force." }),
    rules: z.array(PolicyRule.extend({ verdict: z.enum(["decides", "matches", "fails", "does not match"]), error: z.string().optional() })),
  })
  .meta({ id: "PolicyExplanation" });
export type PolicyExplanation = z.infer<typeof PolicyExplanation>;

/** One case of a test file that stands beside the rules. */
export const PolicyCase = z
  .strictObject({
    name: z.string().min(1).max(200),
    request: PolicyQuestion,
    expect: z.enum(["allow", "deny"]),
    rule: z.string().max(128).optional().meta({ description: "The rule that must be among those that decide." }),
  })
  .meta({ id: "PolicyCase" });
export type PolicyCase = z.input<typeof PolicyCase>;

/** Body of `POST /v1/policy/test`. */
export const PolicyTestRequest = z
  .strictObject({ files: PolicyFiles, cases: z.array(PolicyCase).min(1).max(1000) })
  .meta({ id: "PolicyTestRequest" });
export type PolicyTestRequest = z.input<typeof PolicyTestRequest>;

export const PolicyTestReport = z
  .object({
    object: z.literal("policy_test"),
    passed: z.int(),
    failed: z.int(),
    cases: z.array(
      z.object({
        name: z.string(),
        passed: z.boolean(),
        decision: z.enum(["allow", "deny"]),
        rules: z.array(z.string()),
        problem: z.string().nullable(),
      }),
    ),
    untested: z.array(z.string()).meta({ description: "Rules that decided in no case." }),
  })
  .meta({ id: "PolicyTestReport" });
export type PolicyTestReport = z.infer<typeof PolicyTestReport>;

/** The reason of a denial where no rule permits. */
export const DEFAULT_DENY = "default-deny";
