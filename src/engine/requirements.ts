import type { Capability, Profile } from "../contract/index.ts";
import { mergeRest, mergeUse, type Request } from "../guard/index.ts";

/** A capability that a field needs. */
export interface Requirement {
  readonly capability: Capability;
  /** Path of the field that asks for it. */
  readonly field: string;
}

/** Capabilities the engine itself cannot use yet, whatever a backend says: refused by name, never ignored. */
export const NOT_IN_THIS_VERSION: ReadonlySet<Capability> = new Set<Capability>([
  "image.build", "resources.gpu", "create.region",
  "ports.tcp",
  "snapshot.disk", "snapshot.memory", "snapshot.keeps_running",
  "restore.new", "restore.in_place", "fork", "workspace.mount", "workspace.mirror", "pool.warm", "volumes",
]); // prettier-ignore

/** What the engine does by itself, over any backend. */
const ENGINES_OWN: ReadonlySet<Capability> = new Set<Capability>(["scope.attach"]);

const WHEN_DUE: Readonly<Record<string, Capability>> = { pause: "pause.memory", suspend: "pause.disk", checkpoint: "snapshot.disk" };

/** Everything the profile and the request use, as capabilities, each with the field that uses it. */
export function requirements(profile: Profile, request: Request, required: readonly Capability[]): Requirement[] {
  const needs: Requirement[] = [];
  const need = (capability: Capability, field: string) => void needs.push({ capability, field });

  // No network unless the profile lists it, so what cannot keep the network out cannot run any profile.
  need("net.block_all", "network.default");
  if (profile.image === "host") need("image.host", "image");
  if (profile.image?.startsWith("oci:") === true) need("image.oci", "image");
  if (profile.image?.startsWith("snapshot:") === true) need("restore.new", "image");
  if (profile.persistence === "persistent") {
    need("pause.disk", "persistence");
    // Whether the state is the one of before is seen by a file.
    need("fs.rw", "persistence");
  }
  if (profile.persistence === "checkpoint") need("snapshot.disk", "persistence");
  const { access = "isolated", sync, path } = profile.workspace ?? {};
  if (access !== "isolated") need("workspace.mount", "workspace.access");
  else if (path !== undefined) need("workspace.mount", "workspace.path");
  if (sync === "mirror") need("workspace.mirror", "workspace.sync");
  for (const [index, rule] of (profile.network?.allow ?? []).entries()) {
    const field = `network.allow[${index}]`;
    need(rule.cidr === undefined ? "net.allow_domain" : "net.allow_cidr", field);
    if (rule.methods !== undefined || rule.paths !== undefined || rule.tls === "inspect" || rule.websocket === true) need("net.l7", field);
  }
  if (profile.network?.mode === "audit") need("net.audit", "network.mode");
  const ports = profile.network?.ports ?? [];
  if (ports.length > 0) need("ports.http", "network.ports");
  for (const [index, { visibility }] of ports.entries())
    if (visibility === "token") need("ports.signed", `network.ports[${index}].visibility`);
  if ((profile.network?.publish ?? []).length > 0) need("ports.dynamic", "network.publish");
  if ((profile.secrets ?? []).length > 0) need("secrets.egress_inject", "secrets");
  if ((profile.pool?.warm ?? 0) > 0) need("pool.warm", "pool.warm");
  for (const field of ["on_idle", "on_expire"] as const) {
    const wanted = mergeRest(profile.lifetime?.[field], request[field]);
    const capability = WHEN_DUE[wanted ?? ""];
    if (capability !== undefined) need(capability, profile.lifetime?.[field] === wanted ? `lifetime.${field}` : field);
  }
  if (mergeUse(profile.lifetime?.on_use, request.on_use) === "resume")
    need("resume.auto", profile.lifetime?.on_use === undefined ? "on_use" : "lifetime.on_use");
  if (profile.user !== undefined) need("exec.user", "user");
  if (Object.keys(profile.services ?? {}).length > 0) need("services", "services");
  for (const resources of [profile.resources, request.resources]) {
    if (resources?.gpu !== undefined) need("resources.gpu", "resources.gpu");
    if (resources?.cpu !== undefined || resources?.memory !== undefined)
      need("resources.cpu_mem", resources.cpu === undefined ? "resources.memory" : "resources.cpu");
    if (resources?.disk !== undefined || resources?.inodes !== undefined)
      need("resources.disk", resources.disk === undefined ? "resources.inodes" : "resources.disk");
    if (resources?.pids !== undefined) need("resources.pids", "resources.pids");
  }
  for (const capability of required) if (!ENGINES_OWN.has(capability)) need(capability, "routing.require_capabilities");
  return needs;
}
