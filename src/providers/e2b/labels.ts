import type { Ref, SandboxSpec } from "../../contract/index.ts";

/** What stands in a sandbox's metadata at E2B. Only what finds it again: the user's own labels stay in the ledger. */

const ID = "sandboxer/id";
const INSTANCE = "sandboxer/instance";
const TENANT = "sandboxer/tenant";
const GENERATION = "sandboxer/generation";
const MAX_LIFE = "sandboxer/max-life-at";
const USER = "sandboxer/user";

type Metadata = Readonly<Record<string, string>>;

export function labelsOf(spec: SandboxSpec, instance: string): Metadata {
  return {
    [ID]: spec.id,
    [INSTANCE]: instance,
    [TENANT]: spec.tenant,
    [GENERATION]: String(spec.generation),
    [MAX_LIFE]: String(spec.maxLifeAt),
    ...(spec.user === undefined ? {} : { [USER]: spec.user }),
  };
}

/** What selects everything of this data directory's, or one sandbox of it. */
export function selector(instance: string, id?: string): Metadata {
  return { [INSTANCE]: instance, ...(id === undefined ? {} : { [ID]: id }) };
}

/** Whether it is ours: a backend that does not know the filter answers with everything. */
export function matches(metadata: Metadata, wanted: Metadata): boolean {
  return Object.entries(wanted).every(([name, value]) => metadata[name] === value);
}

/** The handle that labels stand for. What lost some of them keeps its native name, so that it can still be destroyed. */
export function refOf(native: string, metadata: Metadata): Ref {
  const count = (name: string): number => (/^\d{1,15}$/.test(metadata[name] ?? "") ? Number(metadata[name]) : 0);
  return { id: metadata[ID] ?? native, tenant: metadata[TENANT] ?? "", generation: count(GENERATION), native, maxLifeAt: count(MAX_LIFE) };
}

/** The user that commands run as unless they name one; undefined for the template's own. */
export function userOf(metadata: Metadata): string | undefined {
  return metadata[USER];
}
