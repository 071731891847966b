import { type PolicyQuestion, type Principal, traitsOfAction } from "../../contract/index.ts";
import type { Ask, Facts, Thing } from "./facts.ts";
import { atLeast, egressFacts } from "./facts.ts";

const BASE: Facts = { isolation: "container", isolation_at_least: atLeast("container") };

/** What a request looks like that says nothing of itself: the defaults of a create, of a command, and so on. */
const CONTEXTS: Readonly<Record<string, Facts>> = {
  Create: {
    ...BASE, cpu_milli: 1000, memory_mib: 512, disk_mib: 2048, pids: 256, ttl: 1800, max_life: 28_800, image: "host", egress: egressFacts(null),
    ports: [], public_ports: [], secrets: [], setup: false, backends: ["local"], metadata: [], workspace: "isolated",
  },
  Run: { program: "sh", shell: true, user: "" },
  File: { path: "." },
  Egress: egressFacts(null),
  Port: { port: 8000, visibility: "private" },
  KeyWish: { tenant: "default", project: "", role: "agent", scopes: ["read", "write"], labels: [], expires: false },
  ProfileWish: { name: "default", version: 1, labels: [] },
}; // prettier-ignore

const THINGS: Readonly<Record<Thing["type"], Facts>> = {
  Sandbox: { ...BASE, tenant: "default", project: "", profile: "default", profile_version: 1, backend: "local", state: "ready" },
  Profile: { name: "default", version: 1, labels: [], shipped: true },
  Secret: { name: "secret", tenant: "default" },
  Key: { tenant: "default", project: "", role: "agent", labels: [], local: false },
  Tenant: {},
  Server: {},
};

type Record_ = Record<string, Facts[string]>;

/** The given over the default, records field by field; an isolation brings the levels it meets. */
function over(base: Facts, given: Readonly<Record<string, unknown>>): Facts {
  const merged: Record_ = { ...base };
  for (const [name, value] of Object.entries(given)) {
    const below = merged[name];
    const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
    merged[name] =
      isRecord && typeof below === "object" ? over(below as Facts, value as Record<string, unknown>) : (value as Facts[string]);
  }
  const level = given["isolation"];
  if (typeof level === "string" && base["isolation"] !== undefined && given["isolation_at_least"] === undefined)
    merged["isolation_at_least"] = atLeast(level as "container");
  // What follows from the rest need not be said.
  if (base["raw_ips"] !== undefined && given["raw_ips"] === undefined)
    merged["raw_ips"] = merged["any"] === true || (Array.isArray(merged["cidrs"]) && merged["cidrs"].length > 0);
  return merged;
}

/** A person's question as the request it stands for; what it leaves out has the defaults of a plain one. */
export function askFor({ principal = {}, action, resource = {}, context = {} }: PolicyQuestion): Ask {
  const { on, context: kind } = traitsOfAction(action);
  const { key = "ky0", tenant = "default", project, role = "agent", labels = [] } = principal;
  const asker: Principal = { tenant, key_id: key, scopes: [], role, labels, ...(project === undefined ? {} : { project }) };
  const attributes = over(THINGS[on], { ...(on === "Secret" || on === "Sandbox" ? { tenant } : {}), ...resource });
  const { id, metadata, ...rest } = attributes as Record_ & { metadata?: Record<string, string> };
  const owner = typeof resource["tenant"] === "string" ? resource["tenant"] : tenant;
  const named =
    typeof id === "string" ? id : typeof attributes["name"] === "string" ? attributes["name"] : on === "Tenant" ? owner : on.toLowerCase();
  const visibility = typeof context["visibility"] === "string" ? (context["visibility"] as "public") : "public";
  return {
    who: action === "port.visit" ? { visitor: visibility, tenant } : asker,
    action,
    resource: {
      type: on,
      id: named,
      attributes: on === "Tenant" || on === "Server" ? {} : rest,
      tenant: owner,
      ...(typeof attributes["project"] === "string" && attributes["project"] !== "" ? { project: attributes["project"] } : {}),
      ...(metadata === undefined ? {} : { tags: metadata }),
    },
    context: kind === undefined ? {} : over(CONTEXTS[kind] ?? {}, context),
  };
}
