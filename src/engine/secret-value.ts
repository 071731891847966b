import { nearest, SandboxerError, type SecretBinding, type SecretSource } from "../contract/index.ts";
import { type Allowed, readSource, secretDenied, unusableSecret } from "../guard/index.ts";
import { findSecret, listSecrets } from "../ledger/index.ts";
import type { Context } from "./context.ts";

/** What a value is sealed for: it opens for no other tenant, name or version. */
export function contextOf(tenant: string, name: string, version: number): string {
  return `secret/${tenant}/${name}/${version}`;
}

/** A secret of a profile as its value is looked for. */
export interface Wanted {
  readonly tenant: string;
  readonly source: SecretSource;
  readonly binding: SecretBinding;
  /** Whether the operator at this machine asks, with a profile of the operator's own. */
  readonly local: boolean;
  /** Path of the secret in its profile, as `secrets[0]`. */
  readonly field: string;
}

/**
 * The value that a secret has now, and for a stored one its version.
 *
 * @throws SandboxerError `secret_not_found`, `secret_unavailable`, or `policy_denied` where the source is the operator's alone
 * or the secret may not go to one of the hosts.
 */
export async function currentValue(ctx: Context, wanted: Wanted, signal: AbortSignal): Promise<{ value: string; version: number | null }> {
  const { source, local, field, binding } = wanted;
  if ("vault" in source) return stored(ctx, wanted, source.vault);
  const allowed: Allowed = local ? "anything" : (ctx.config.secrets ?? {});
  return { value: fitting(await readSource(source, allowed, `${field}.source`, signal), binding, field), version: null };
}

async function stored(ctx: Context, { tenant, binding, field }: Wanted, name: string): Promise<{ value: string; version: number }> {
  const row = await findSecret(ctx.ledger.db, tenant, name);
  if (row === undefined || row.value === null) {
    const near = nearest(
      name,
      (await listSecrets(ctx.ledger.db, tenant)).map((one) => one.name),
    );
    const message = `there is no secret "${name}"${near === undefined ? "" : `; nearest: "${near}"`}`;
    throw new SandboxerError("secret_not_found", `${field}.source.vault: ${message}`, {
      phase: "secret",
      issues: [{ path: `${field}.source.vault`, message, ...(near === undefined ? {} : { nearest: near }) }],
    });
  }
  const only = row.hosts === null ? null : (JSON.parse(row.hosts) as string[]);
  const outside = binding.hosts.findIndex((host) => only !== null && !only.some((one) => covers(one, host)));
  if (only !== null && outside !== -1)
    throw secretDenied(`${field}.inject.hosts[${outside}]`, `secret "${name}" may go to ${only.join(", ")} only`);
  return { value: fitting(ctx.sealer().open(row.value, contextOf(tenant, name, row.version)), binding, field), version: row.version };
}

/** Whether every name that `host` stands for is one that `allowed` stands for. What is not plainly so, is not. */
function covers(allowed: string, host: string): boolean {
  const [wide, narrow] = [allowed.toLowerCase(), host.toLowerCase()];
  return wide === narrow || (wide.startsWith("*.") && narrow.endsWith(wide.slice(1)) && narrow.length > wide.length - 1);
}

/** A header takes visible ASCII and blanks within; `basic` is encoded and takes anything. */
function fitting(value: string, { inject }: SecretBinding, field: string): string {
  if (inject.type === "basic" || /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return value;
  throw unusableSecret(`${field}: the value`, "cannot stand in a header: it has blanks around it or characters beyond ASCII");
}
