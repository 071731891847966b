import { setImmediate } from "node:timers/promises";
import {
  type EgressPolicy,
  LOCAL_OPERATOR,
  parse,
  type PolicyImpact,
  type Principal,
  Profile,
  type Resources,
  type Scope,
} from "../../contract/index.ts";
import { type Ask, egressFacts, type Policy } from "../../guard/index.ts";
import { findKey, findNetwork, type KeyRow, liveAll, type SandboxRow } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { resolveProfile } from "../profiles.ts";
import { mountedAt } from "../view.ts";
import { createFacts, profileThing, sandboxThing } from "./things.ts";

/** Sandboxes between two breaths of everybody else. */
const AT_ONCE = 16;

export function principalOf(row: KeyRow): Principal {
  return {
    tenant: row.tenant,
    key_id: row.id,
    scopes: JSON.parse(row.scopes) as Scope[],
    ...(row.project === null ? {} : { project: row.project }),
    ...(row.role === null ? {} : { role: row.role }),
    ...(row.labels === "[]" ? {} : { labels: JSON.parse(row.labels) as string[] }),
  };
}

/** The create that made it, and a plain command in it, as whoever made it would ask for them now. */
async function asksOf(ctx: Context, row: SandboxRow): Promise<Ask[]> {
  const key = row.key_id === null ? undefined : await findKey(ctx.ledger.db, row.key_id);
  const who = key === undefined ? { ...LOCAL_OPERATOR, tenant: row.tenant } : principalOf(key);
  const profile = await resolveProfile(ctx, row.tenant, `${row.profile_name}@${row.profile_version}`);
  const document = parse(Profile, profile.document, { what: `profile ${profile.name}@${profile.version}` });
  const network = await findNetwork(ctx.ledger.db, row.id);
  const bounds = {
    isolationMin: row.isolation_min,
    resources: JSON.parse(row.resources) as Resources,
    ttl: (row.expires_at - row.created_at) / 1000,
    maxLife: (row.max_life_at - row.created_at) / 1000,
    idle: row.idle_seconds,
    egress: egressFacts(network === undefined ? null : (JSON.parse(network.policy) as EgressPolicy)),
  };
  const wish = {
    image: document.image ?? "host",
    setup: (document.setup ?? []).length > 0,
    ports: document.network?.ports ?? [],
    secrets: (document.secrets ?? []).map(({ name }) => name),
    backends: [row.backend],
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    workspace: mountedAt(row),
  };
  return [
    { who, action: "sandbox.create", resource: profileThing(profile, row.tenant), context: createFacts(bounds, wish) },
    { who, action: "exec.run", resource: sandboxThing(row), context: { program: "sh", shell: true, user: "" } },
  ];
}

/** Live sandboxes that other rules would not have let be made, or would not let be used. Nothing happens to them. */
export async function impactOf(ctx: Context, policy: Policy): Promise<PolicyImpact[]> {
  const found: PolicyImpact[] = [];
  for (const [index, row] of (await liveAll(ctx.ledger.db)).entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await setImmediate();
    for (const ask of await asksOf(ctx, row)) {
      const { allowed, rule } = policy.decide(ask);
      if (allowed) continue;
      const { id: sandbox_id, tenant, key_id } = row;
      found.push({ sandbox_id, tenant, profile: `${row.profile_name}@${row.profile_version}`, key_id, action: ask.action, rule });
    }
  }
  return found;
}
