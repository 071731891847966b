import {
  ISOLATION_LEVELS,
  type EgressPolicy,
  type IsolationLevel,
  meetsIsolation,
  type PolicyAction,
  type Principal,
} from "../../contract/index.ts";
import type { EntityJson } from "./cedar.ts";

/** Cedar's values, without entities: what facts are made of. */
type Value = string | number | boolean | readonly Value[] | { readonly [name: string]: Value | undefined };
export type Facts = Readonly<Record<string, Value | undefined>>;

/** A thing that an action is done to, as rules see it. */
export interface Thing {
  readonly type: "Sandbox" | "Profile" | "Tenant" | "Secret" | "Key" | "Server";
  readonly id: string;
  readonly attributes?: Facts;
  readonly tenant?: string;
  readonly project?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** Who asks: a key, the operator on the machine, or whoever visits a published port. */
export type Asker = Principal | { readonly visitor: "private" | "token" | "public"; readonly tenant: string };

/** One request as rules see it. */
export interface Ask {
  readonly who: Asker;
  readonly action: PolicyAction;
  readonly resource: Thing;
  readonly context: Facts;
}

/** What a key without a role amounts to. */
function roleOf({ role, scopes }: Principal): string {
  if (role !== undefined) return role;
  if (scopes.includes("admin")) return "admin";
  if (scopes.includes("secrets")) return "operator";
  return scopes.includes("write") ? "agent" : "read-only";
}

/** Who came without a key: the operator on the machine, or a sandbox's own token whose maker had none. */
const KEYLESS = { operator: "local", token: "token" };

interface Uid {
  readonly type: string;
  readonly id: string;
}

const uid = (type: string, id: string): Uid => ({ type, id });

function parentsOf(tenant: string | undefined, project: string | undefined, role?: string) {
  return [
    ...(tenant === undefined ? [] : [uid("Tenant", tenant)]),
    ...(tenant === undefined || project === undefined ? [] : [uid("Project", `${tenant}/${project}`)]),
    ...(role === undefined ? [] : [uid("Role", role)]),
  ];
}

type Entity = EntityJson & { readonly uid: Uid };

export function askerEntity(who: Asker): Entity {
  if ("visitor" in who)
    return {
      uid: uid("Visitor", who.visitor),
      attrs: { tenant: who.tenant, visibility: who.visitor },
      parents: parentsOf(who.tenant, undefined),
    };
  const { tenant, project, labels = [], key_id: key, scopes } = who;
  const role = roleOf(who);
  const local = key === null && scopes.includes("admin");
  return {
    uid: uid("Key", key ?? (local ? KEYLESS.operator : KEYLESS.token)),
    attrs: { tenant, project: project ?? "", role, labels: [...labels], local },
    parents: parentsOf(tenant, project, role),
  };
}

export function thingEntity({ type, id, attributes = {}, tenant, project, tags }: Thing): Entity {
  return {
    uid: uid(type, id),
    attrs: known(attributes) as EntityJson["attrs"],
    parents: type === "Tenant" || type === "Server" ? [] : parentsOf(tenant, project),
    ...(tags === undefined ? {} : { tags }),
  };
}

/** Without what is not known: a rule finds out by `has`. */
export function known(facts: Facts): Record<string, Value> {
  return Object.fromEntries(Object.entries(facts).filter((entry): entry is [string, Value] => entry[1] !== undefined));
}

/** Which levels an isolation meets. */
export function atLeast(level: IsolationLevel): Record<IsolationLevel, boolean> {
  return Object.fromEntries(ISOLATION_LEVELS.map((least) => [least, meetsIsolation(level, least)])) as Record<IsolationLevel, boolean>;
}

/** What a sandbox may reach; null: nothing at all. */
export function egressFacts(policy: EgressPolicy | null): Facts {
  const rules = policy?.rules ?? [];
  const any = policy?.mode === "audit";
  const hosts = rules.flatMap(({ host }) => host ?? []);
  const cidrs = rules.flatMap(({ cidr }) => cidr ?? []);
  return {
    any,
    hosts: [...new Set(hosts)],
    cidrs: [...new Set(cidrs)],
    raw_ips: any || cidrs.length > 0,
    ports: [...new Set(rules.flatMap(({ ports }) => ports))],
    inspected: rules.every(({ tls }) => tls === "inspect"),
  };
}
