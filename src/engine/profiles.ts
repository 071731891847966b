import { nearest, parse, type Principal, Profile, ProfileReference, type ProfileRecord, SandboxerError } from "../contract/index.ts";
import {
  appendEvent,
  findProfile,
  insertProfile,
  isUniqueViolation,
  listProfiles,
  type ProfileRow,
  vouchForProfile,
} from "../ledger/index.ts";
import { isLocalOperator } from "./access.ts";
import { audit } from "./audit.ts";
import { canonicalJson, sha256 } from "./canonical.ts";
import type { Context } from "./context.ts";
import type { Engine } from "./engine.ts";

/** What a create without a profile is made from. */
export const DEFAULT_PROFILE = "default";

function toRecord(row: ProfileRow): ProfileRecord {
  return {
    object: "profile",
    name: row.name,
    version: row.version,
    digest: row.digest,
    shipped: false,
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
  if (own !== undefined) return toRecord(own);
  const shipped = ctx.shipped
    .filter((profile) => profile.name === name && (version === undefined || profile.version === version))
    .toSorted((a, b) => b.version - a.version)[0];
  if (shipped !== undefined) return shipped;

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
  const own = (await listProfiles(ctx.ledger.db, tenant)).map(toRecord);
  const taken = new Set(own.map((profile) => `${profile.name}@${profile.version}`));
  const shipped = ctx.shipped.filter((profile) => !taken.has(`${profile.name}@${profile.version}`));
  return [...shipped, ...own].toSorted((a, b) => a.name.localeCompare(b.name) || a.version - b.version);
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

export function profiles(ctx: Context): Engine["profiles"] {
  return {
    list: (who) => allProfiles(ctx, who.tenant),
    get: (who, reference) => resolveProfile(ctx, who.tenant, reference),
    apply: (who, document) => apply(ctx, who, document),
  };
}
