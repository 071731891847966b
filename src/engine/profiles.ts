import {
  LabelsRequest,
  nearest,
  parse,
  type Principal,
  Profile,
  ProfileReference,
  type ProfileRecord,
  SandboxerError,
} from "../contract/index.ts";
import {
  allProfileLabels,
  appendEvent,
  findProfile,
  insertProfile,
  isUniqueViolation,
  listProfiles,
  profileLabels,
  type ProfileRow,
  putProfileLabels,
  vouchForProfile,
} from "../ledger/index.ts";
import { isLocalOperator } from "../guard/index.ts";
import { audit } from "./audit.ts";
import { canonicalJson, sha256 } from "./canonical.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./engine.ts";

/** What a create without a profile is made from. */
export const DEFAULT_PROFILE = "default";

function toRecord(row: ProfileRow, labels: readonly string[] = []): ProfileRecord {
  return {
    object: "profile",
    name: row.name,
    version: row.version,
    digest: row.digest,
    shipped: false,
    labels: [...labels],
    created_at: new Date(row.created_at).toISOString(),
    document: JSON.parse(row.document) as Record<string, unknown>,
  };
}

/**
 * A profile by `name` or `name@version`: a tenant's own stands before a shipped one of the same name.
 *
 * @throws SandboxerError `profile_not_found` with the nearest name, `invalid_request` for a malformed reference.
 */
export async function resolveProfile(ctx: Context, tenant: string, reference: string): Promise<ProfileRecord> {
  const bare = parse(ProfileReference, reference, { what: "profile" }).replace(/:.*$/, "");
  const [name = "", versionText] = bare.split("@");
  const version = versionText === undefined ? undefined : Number(versionText);
  const own = await findProfile(ctx.ledger.db, tenant, name, version);
  if (own !== undefined) return toRecord(own, await profileLabels(ctx.ledger.db, tenant, name, own.version));
  const shipped = ctx.shipped
    .filter((profile) => profile.name === name && (version === undefined || profile.version === version))
    .toSorted((a, b) => b.version - a.version)[0];
  if (shipped !== undefined) return { ...shipped, labels: await profileLabels(ctx.ledger.db, tenant, name, shipped.version) };

  const known = await allProfiles(ctx, tenant);
  const versions = known.filter((profile) => profile.name === name).map((profile) => profile.version);
  if (versions.length > 0) {
    const newest = `${name}@${Math.max(...versions)}`;
    throw new SandboxerError("profile_not_found", `profile "${name}" has no version ${version}; nearest: "${newest}"`, {
      issues: [{ path: "profile", message: `"${name}" has the versions ${versions.join(", ")}`, nearest: newest }],
    });
  }
  const near = nearest(
    name,
    known.map((profile) => profile.name),
  );
  throw new SandboxerError("profile_not_found", `there is no profile "${name}"${near === undefined ? "" : `; nearest: "${near}"`}`, {
    issues: [{ path: "profile", message: `unknown profile "${name}"`, ...(near === undefined ? {} : { nearest: near }) }],
  });
}

async function allProfiles(ctx: Context, tenant: string): Promise<ProfileRecord[]> {
  const own = (await listProfiles(ctx.ledger.db, tenant)).map((row) => toRecord(row));
  const taken = new Set(own.map((profile) => `${profile.name}@${profile.version}`));
  const shipped = ctx.shipped.filter((profile) => !taken.has(`${profile.name}@${profile.version}`));
  const labels = await allProfileLabels(ctx.ledger.db, tenant);
  const labelled = [...shipped, ...own].map((profile) => ({ ...profile, labels: labels(profile.name, profile.version) }));
  return labelled.toSorted((a, b) => a.name.localeCompare(b.name) || a.version - b.version);
}

async function apply(ctx: Context, who: Principal, document: unknown): Promise<{ profile: ProfileRecord; created: boolean }> {
  const { name, version } = parse(Profile, document, { what: "profile" });
  const text = canonicalJson(document);
  const local = isLocalOperator(who) ? 1 : 0;
  const row: ProfileRow = { tenant: who.tenant, name, version, digest: sha256(text), document: text, created_at: ctx.clock.now(), local };
  try {
    await ctx.ledger.transaction(async (tx) => {
      await insertProfile(tx, row);
      await appendEvent(tx, {
        type: "profile.applied",
        at: row.created_at,
        tenant: who.tenant,
        sandboxId: null,
        data: { name, version, digest: row.digest },
      });
      await audit(tx, who, { action: "profile.applied", at: row.created_at, target: `${name}@${version}`, detail: { digest: row.digest } });
    });
    return { profile: toRecord(row), created: true };
  } catch (thrown) {
    if (!isUniqueViolation(thrown)) throw thrown;
  }
  const existing = await findProfile(ctx.ledger.db, who.tenant, name, version);
  if (existing?.digest === row.digest) {
    if (local > existing.local)
      await ctx.ledger.transaction(async (tx) => {
        await vouchForProfile(tx, existing);
        const target = `${name}@${version}`;
        await audit(tx, who, { action: "profile.vouched", at: ctx.clock.now(), target, detail: { digest: row.digest } });
      });
    return { profile: toRecord(existing), created: false };
  }
  const newest = await findProfile(ctx.ledger.db, who.tenant, name);
  throw new SandboxerError("conflict", `profile ${name}@${version} exists with other content, and a version never changes`, {
    hint: `Give it a new version: ${(newest?.version ?? version) + 1}.`,
    issues: [{ path: "version", message: `version ${version} is taken`, nearest: String((newest?.version ?? version) + 1) }],
  });
}

/** A profile by name alone is labelled in all its versions that have no labels of their own. */
async function label(ctx: Context, who: Principal, reference: string, given: readonly string[]): Promise<ProfileRecord> {
  const { labels } = parse(LabelsRequest, { labels: [...given] }, { what: "labels" });
  const { name, version } = await resolveProfile(ctx, who.tenant, reference);
  const at = ctx.clock.now();
  const of = reference.includes("@") ? version : 0;
  await ctx.ledger.transaction(
    async (tx) => {
      await putProfileLabels(tx, { tenant: who.tenant, name, version: of, labels, at });
      const data = { name, version: of === 0 ? null : of, labels, key_id: who.key_id };
      await appendEvent(tx, { type: "profile.labelled", at, tenant: who.tenant, sandboxId: null, data });
      await audit(tx, who, { action: "profile.labelled", at, target: reference, detail: { labels } });
    },
    { durable: true },
  );
  return resolveProfile(ctx, who.tenant, reference);
}

export function profiles(ctx: Context): Engine["profiles"] {
  return {
    list: (who) => allProfiles(ctx, who.tenant),
    get: (who, reference) => resolveProfile(ctx, who.tenant, reference),
    apply: (who, document) => apply(ctx, who, document),
    label: (who, reference, labels) => label(ctx, who, reference, labels),
  };
}
