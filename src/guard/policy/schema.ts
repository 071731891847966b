import { POLICY_ACTIONS, type PolicyAction, traitsOfAction } from "../../contract/index.ts";

/** Entities and contexts of rules. Everything that is always known is required, so that rules need no `has`. */
const NOUNS = `// What rules of sand-boxer can ask. Durations are seconds, sizes MiB, money micro-dollars.

type AtLeast = { process: Bool, container: Bool, gvisor: Bool, microvm: Bool };
type Egress = {
  any: Bool,             // mode audit: what no rule allows gets out as well
  hosts: Set<String>,    // as the profile writes them, "*.example.com"
  cidrs: Set<String>,
  raw_ips: Bool,         // some address by its number: there are cidrs, or any
  ports: Set<Long>,
  inspected: Bool,       // every rule has tls: inspect
};

entity Tenant;
entity Role;
entity Server;
entity Project in [Tenant];
entity Key in [Tenant, Project, Role] = {
  tenant: String, project: String, role: String, labels: Set<String>,
  local: Bool,           // the operator on the machine itself
};
entity Visitor in [Tenant] = { tenant: String, visibility: String };
entity Profile in [Tenant] = { name: String, version: Long, labels: Set<String>, shipped: Bool };
entity Secret in [Tenant] = { name: String, tenant: String };
entity Sandbox in [Tenant, Project] = {
  tenant: String, project: String, profile: String, profile_version: Long, backend: String, state: String,
  isolation: String, isolation_at_least: AtLeast,
} tags String;           // its metadata

type Create = {
  isolation: String,                 // the least it will get
  isolation_at_least: AtLeast,
  cpu_milli: Long, memory_mib: Long, disk_mib: Long, pids: Long,
  ttl: Long, max_life: Long, idle?: Long,
  image: String,                     // "host", "oci:..."
  egress: Egress,
  ports: Set<Long>, public_ports: Set<Long>,
  secrets: Set<String>,
  setup: Bool,                       // runs commands of the profile
  backends: Set<String>,             // that may be tried
  metadata: Set<String>,             // "key=value"
  workspace: String,                 // "isolated", or what is mounted there: "ro", "rw"
  workspace_path?: String,           // the host directory that is mounted: like "/srv/projects/*"
  price_micros_per_hour?: Long,      // of the dearest backend that may be tried; absent where one is not known
};
type Run = { program: String, shell: Bool, user: String };
type File = { path: String };
type Port = { port: Long, visibility: String };
type KeyWish = { tenant: String, project: String, role: String, scopes: Set<String>, labels: Set<String>, expires: Bool };
type ProfileWish = { name: String, version: Long, labels: Set<String> };

action see;
action make;
action use;
action change;
action administer;
`;

function declaration(action: PolicyAction): string {
  const { on, group, context = "{}" } = traitsOfAction(action);
  const principal = action === "port.visit" ? "Visitor" : "Key";
  return `action "${action}" in [${group}] appliesTo { principal: [${principal}], resource: [${on}], context: ${context} };`;
}

/** The schema that every policy is held against, in Cedar's own form. */
export const POLICY_SCHEMA = `${NOUNS}\n${(Object.keys(POLICY_ACTIONS) as PolicyAction[]).map(declaration).join("\n")}\n`;

const bare = NOUNS.replaceAll(/\/\/.*$/gm, "");

/** Every name a rule can use, for the nearest one to a typo. */
export const POLICY_NAMES: readonly string[] = [
  ...new Set([
    ...Object.keys(POLICY_ACTIONS),
    ...[...bare.matchAll(/(\w+)\??\s*:/g)].map(([, name = ""]) => name),
    ...[...bare.matchAll(/\b(?:entity|action)\s+(\w+)/g)].map(([, name = ""]) => name),
  ]),
];
