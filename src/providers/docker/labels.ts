import type { Ref, SandboxSpec } from "../../contract/index.ts";

/** What stands on every container. Only what finds it again: the user's own labels stay in the ledger. */

const PREFIX = "dev.sandboxer.";
const ID = `${PREFIX}id`;
const INSTANCE = `${PREFIX}instance`;
const TENANT = `${PREFIX}tenant`;
const GENERATION = `${PREFIX}generation`;
const MAX_LIFE = `${PREFIX}max-life-at`;
const USER = `${PREFIX}user`;
const SERVICE = `${PREFIX}service`;

export type Labels = Readonly<Record<string, string>>;

export function labelsOf(spec: SandboxSpec, instance: string, user: string): Labels {
  return {
    [ID]: spec.id,
    [INSTANCE]: instance,
    [TENANT]: spec.tenant,
    [GENERATION]: String(spec.generation),
    [MAX_LIFE]: String(spec.maxLifeAt),
    [USER]: user,
  };
}

/** Marks a service beside a sandbox, for us and for `docker compose ps` and `logs` on the engine's host, of either version. */
export function serviceLabels(project: string, name: string): Labels {
  return {
    [SERVICE]: name,
    "com.docker.compose.project": project,
    "com.docker.compose.service": name,
    "com.docker.compose.container-number": "1",
    "com.docker.compose.oneoff": "False",
  };
}

/** Whether it is one of those. */
export function isService(labels: Labels): boolean {
  return labels[SERVICE] !== undefined;
}

/** The service's name; empty for what is none. */
export function serviceOf(labels: Labels): string {
  return labels[SERVICE] ?? "";
}

/** The engine's filter for everything of this data directory's backend, or of one sandbox of it. */
export function filterOf(instance: string, id?: string): { label: string[] } {
  return { label: [`${INSTANCE}=${instance}`, ...(id === undefined ? [] : [`${ID}=${id}`])] };
}

/** A container's name: the engine gives it once, which makes a create idempotent. */
export function nameOf(instance: string, id: string): string {
  return `sandboxer-${instance.replaceAll(/[^a-zA-Z0-9_.-]/g, "-")}-${id}`;
}

/** The handle that labels stand for. What lost some of them keeps its native name, so that it can still be destroyed. */
export function refOf(native: string, labels: Labels): Ref {
  const count = (name: string): number => (/^\d{1,15}$/.test(labels[name] ?? "") ? Number(labels[name]) : 0);
  return { id: labels[ID] ?? native, tenant: labels[TENANT] ?? "", generation: count(GENERATION), native, maxLifeAt: count(MAX_LIFE) };
}

/** The user that commands run as unless they name one. */
export function userOf(labels: Labels): string | undefined {
  return labels[USER];
}
