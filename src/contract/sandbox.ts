import { z } from "zod";
import { IsolationLevel } from "./capability.ts";
import { SandboxCost } from "./money.ts";
import { Route } from "./routing.ts";

/**
 * The states of a sandbox. `provisioning` has a row and perhaps an object at the backend; `failed` never became ready
 * and nothing is left of it; `lost` is what the backend no longer answers for (it settles to ready or terminated).
 */
export const SANDBOX_STATES = ["provisioning", "ready", "paused", "suspended", "stopping", "terminated", "failed", "lost"] as const;
export const SandboxState = z.enum(SANDBOX_STATES).meta({ id: "SandboxState" });
export type SandboxState = z.infer<typeof SandboxState>;

/** Why a sandbox ended. A kill for want of memory is `oom`, a passed `ttl` or `max_life` is `expired`. */
export const TERMINATION_REASONS = ["expired", "idle", "user", "oom", "backend_lost", "budget", "policy", "error"] as const;
export const TerminationReason = z.enum(TERMINATION_REASONS).meta({ id: "TerminationReason" });
export type TerminationReason = z.infer<typeof TerminationReason>;

/** What can happen to a sandbox. Those that use it leave its state as it is; the others move it. */
export const ACTIONS = [
  "use", "renew", "mark_ready", "pause", "resume", "suspend", "wake", "stop", "confirm_gone", "fail", "lose", "recover",
] as const; // prettier-ignore
export type Action = (typeof ACTIONS)[number];

/**
 * The one transition table: state x action -> the state after it; what is not listed is refused as `wrong_state`.
 * `fail` stands for a create of which nothing is left; an unwind that could not be confirmed goes through `stop`.
 */
export const TRANSITIONS: Readonly<Record<SandboxState, Readonly<Partial<Record<Action, SandboxState>>>>> = {
  provisioning: { mark_ready: "ready", fail: "failed", stop: "stopping", lose: "lost" },
  ready: { use: "ready", renew: "ready", pause: "paused", suspend: "suspended", stop: "stopping", lose: "lost" },
  paused: { renew: "paused", resume: "ready", suspend: "suspended", stop: "stopping", lose: "lost" },
  suspended: { renew: "suspended", wake: "ready", stop: "stopping", lose: "lost" },
  stopping: { stop: "stopping", confirm_gone: "terminated", fail: "failed" },
  lost: { stop: "stopping", recover: "ready", confirm_gone: "terminated" },
  terminated: {},
  failed: {},
};

/** Whether nothing more can happen to a sandbox in that state. */
export function isTerminal(state: SandboxState): boolean {
  return Object.keys(TRANSITIONS[state]).length === 0;
}

const Timestamp = z.iso.datetime({ offset: true });

/** What a backend was asked for and gives. */
export const Resources = z
  .object({
    cpu: z.number().meta({ description: "CPUs; a fraction is a share of one." }),
    memory_bytes: z.int(),
    disk_bytes: z.int(),
    inodes: z.int().meta({ description: "Files and directories the sandbox may make." }),
    pids: z.int().meta({ description: "Processes and threads at once." }),
  })
  .meta({ id: "Resources" });
export type Resources = z.infer<typeof Resources>;

/** What is kept of a sandbox that stops: `ephemeral` nothing, `persistent` its disk, `checkpoint` what was saved. */
export const Persistence = z.enum(["ephemeral", "persistent", "checkpoint"]).meta({ id: "Persistence" });
export type Persistence = z.infer<typeof Persistence>;

/** Whose sandbox is found again by a key. */
export const ScopeKind = z.enum(["agent", "session", "shared"]).meta({ id: "ScopeKind" });
export type ScopeKind = z.infer<typeof ScopeKind>;

export const OnIdle = z.enum(["terminate", "pause", "suspend"]);
export const OnExpire = z.enum(["terminate", "pause", "suspend", "checkpoint"]);
export const OnUse = z.enum(["refuse", "resume"]);

/** How a sandbox stands still. */
export type RestState = "paused" | "suspended";

/** A sandbox as everyone outside sees it. */
export const Sandbox = z
  .object({
    id: z.string().meta({ examples: ["sb01kb8t4m9zk3v5x7qpw2ch6dn"] }),
    object: z.literal("sandbox"),
    name: z.string().nullable(),
    tenant: z.string(),
    project: z.string().nullable(),
    profile: z.object({ name: z.string(), version: z.int(), digest: z.string() }),
    backend: z.string().nullable(),
    state: SandboxState,
    desired: z.enum(["running", "paused", "suspended", "terminated"]).meta({ description: "Where the engine is taking it." }),
    generation: z.int().meta({ description: "Grows with each replacement; an old handle never reaches a new one." }),
    isolation: z.object({
      min: IsolationLevel,
      effective: IsolationLevel.nullable().meta({ description: "What was verified on that host; null until ready." }),
      runtime: z.string().nullable(),
      notes: z.array(z.string()).meta({ description: "What the level does not cover on this host, such as a runtime's known flaws." }),
    }),
    resources: Resources,
    narrowed: z.array(z.string()).meta({ description: "Fields of the request that the profile or the operator made narrower." }),
    route: Route,
    metadata: z.record(z.string(), z.string()),
    created_at: Timestamp,
    ready_at: Timestamp.nullable(),
    last_active_at: Timestamp,
    expires_at: Timestamp.meta({ description: "The ttl clock; renew moves it, never beyond max_life_at." }),
    max_life_at: Timestamp.meta({ description: "Ends then whatever happens, also with the control plane dead." }),
    idle_seconds: z.number().nullable().meta({ description: "Ends after this long without use; null: no idle clock." }),
    ended_at: Timestamp.nullable(),
    termination: z.object({ reason: TerminationReason, detail: z.string().nullable() }).nullable(),
    error: z.object({ code: z.string(), message: z.string() }).nullable().meta({ description: "Why it failed, where it did." }),
    state_lost: z.boolean().meta({ description: "True where it had to be made anew; never passes as the old one." }),
    persistence: Persistence,
    scope: z.object({ kind: ScopeKind, key: z.string() }).nullable().meta({ description: "By which a create finds it again." }),
    lifetime: z
      .object({ on_idle: OnIdle, on_expire: OnExpire, on_use: OnUse })
      .meta({ description: "What its clocks do with it, and whether use wakes it where it is paused or suspended." }),
    resting: z
      .object({ since: Timestamp, because: z.enum(["user", "idle", "expired", "stopped"]) })
      .nullable()
      .meta({ description: "While it is paused or suspended. stopped: by itself, and its disk is kept." }),
    attached: z.boolean().optional().meta({ description: "In a create's answer: true where its scope_key found this one." }),
    cost: SandboxCost.optional(),
  })
  .meta({ id: "Sandbox" });
export type Sandbox = z.infer<typeof Sandbox>;
