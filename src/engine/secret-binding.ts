import { randomBytes } from "node:crypto";
import { type BoundSecret, type Principal, type ProfileRecord, type ProfileSecret, type SecretBinding } from "../contract/index.ts";
import { findProfile, type SandboxSecretRow, touchSecret } from "../ledger/index.ts";
import { isLocalOperator } from "../guard/index.ts";
import type { Context } from "./context.ts";
import { currentValue } from "./secret-value.ts";

/** 24 random bytes are 32 characters that stand unescaped in a URL, a header and a shell. */
const PLACEHOLDER_BYTES = 24;
/** `last_used_at` is written at most this often. */
const USED_EVERY_MS = 60_000;

/** What a create needs of its profile's secrets. Nothing in it but `bound` has a value. */
export interface ResolvedSecrets {
  /** For the boundary's session. */
  readonly bound: readonly BoundSecret[];
  /** What stands inside: placeholders by variable, and as the text of files. */
  readonly expose: { readonly env: Readonly<Record<string, string>>; readonly files: readonly { path: string; text: string }[] };
  /** For `insertSandboxSecrets`, in the transaction that writes the sandbox's row. */
  rows(sandboxId: string): SandboxSecretRow[];
}

/**
 * Finds the values of a profile's secrets and makes a placeholder for each, for one sandbox. Before any effect: sources are read
 * now, commands take up to ten seconds.
 *
 * @throws SandboxerError `policy_denied` for a source that this caller may not use, `secret_not_found`, `secret_unavailable`.
 */
export async function resolveSecrets(
  ctx: Context,
  who: Principal,
  profile: ProfileRecord,
  secrets: readonly ProfileSecret[],
  signal: AbortSignal,
): Promise<ResolvedSecrets> {
  if (secrets.length === 0) return { bound: [], expose: { env: {}, files: [] }, rows: () => [] };
  const local = isLocalOperator(who) && (await isOperatorsOwn(ctx, who.tenant, profile));
  const found: { secret: ProfileSecret; bound: BoundSecret; version: number | null }[] = [];
  for (const [index, secret] of secrets.entries()) {
    const binding = bindingOf(secret);
    const { value, version } = await currentValue(
      ctx,
      { tenant: who.tenant, source: secret.source, binding, local, field: `secrets[${index}]` },
      signal,
    );
    found.push({ secret, bound: { binding, value }, version });
  }
  await noteUse(ctx, who.tenant, secrets);
  return {
    bound: found.map(({ bound }) => bound),
    expose: {
      env: Object.fromEntries(found.flatMap(({ secret: { expose }, bound }) => (expose?.env === undefined ? [] : [[expose.env, bound.binding.placeholder]]))),
      files: found.flatMap(({ secret: { expose }, bound }) => (expose?.file === undefined ? [] : [{ path: expose.file, text: bound.binding.placeholder }])),
    },
    rows: (sandboxId) =>
      found.map(({ secret, bound, version }) => ({
        sandbox_id: sandboxId,
        name: secret.name,
        vault: "vault" in secret.source ? secret.source.vault : null,
        local: local ? 1 : 0,
        source: JSON.stringify(secret.source),
        binding: JSON.stringify(bound.binding),
        delivered: version,
      })),
  }; // prettier-ignore
}

/** A profile with every default filled in, and a placeholder that no other sandbox has. */
function bindingOf({ name, inject }: ProfileSecret): SecretBinding {
  const {
    type,
    header,
    username,
    hosts,
    ports = [443],
    methods,
    paths,
    replace_in: replaceIn = [],
    on_violation: onViolation = "block",
  } = inject;
  return {
    name,
    placeholder: `sbx_secret_${randomBytes(PLACEHOLDER_BYTES).toString("base64url")}`,
    inject: { type, ...(header === undefined ? {} : { header }), ...(username === undefined ? {} : { username }) },
    // The form in which the boundary compares names.
    hosts: hosts.map((host) => host.toLowerCase()),
    ports,
    ...(methods === undefined ? {} : { methods }),
    ...(paths === undefined ? {} : { paths }),
    replaceIn,
    onViolation,
  };
}

/**
 * Whether the operator stands behind a profile: it came with sand-boxer, or was stored at this machine. One that a key stored is
 * a stranger's text, also when the operator makes a sandbox from it.
 */
async function isOperatorsOwn(ctx: Context, tenant: string, profile: ProfileRecord): Promise<boolean> {
  if (profile.shipped) return true;
  const row = await findProfile(ctx.ledger.db, tenant, profile.name, profile.version);
  return row?.digest === profile.digest && row.local === 1;
}

/** A figure for people: where it cannot be written the create goes on. */
async function noteUse(ctx: Context, tenant: string, secrets: readonly ProfileSecret[]): Promise<void> {
  if (ctx.ledger.readOnly !== null) return;
  const names = new Set(secrets.flatMap(({ source }) => ("vault" in source ? [source.vault] : [])));
  const now = ctx.clock.now();
  for (const name of names) {
    await touchSecret(ctx.ledger.db, tenant, name, { now, after: now - USED_EVERY_MS }).catch((thrown: unknown) =>
      ctx.log.warn({ secret: name, error: String(thrown) }, "the use of a secret could not be written"),
    );
  }
}
