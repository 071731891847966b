import { type Config, SandboxerError } from "../contract/index.ts";

/** Live sandboxes over all tenants where the operator sets no limit. */
const DEFAULT_MAX_SANDBOXES = 1000;

/**
 * Says no where one more sandbox would be too many. The counts must come from the transaction that inserts it.
 *
 * @throws SandboxerError `quota_exceeded` naming the limit.
 */
export function admitOneMore(live: { all: number; tenant: number }, limits: NonNullable<Config["limits"]>): void {
  const max = limits.max_sandboxes ?? DEFAULT_MAX_SANDBOXES;
  const perTenant = limits.max_sandboxes_per_tenant;
  if (perTenant !== undefined && live.tenant >= perTenant) {
    throw new SandboxerError(
      "quota_exceeded",
      `this tenant has ${live.tenant} live sandboxes, and limits.max_sandboxes_per_tenant is ${perTenant}`,
      { phase: "admission" },
    );
  }
  if (live.all >= max) {
    throw new SandboxerError("quota_exceeded", `there are ${live.all} live sandboxes, and limits.max_sandboxes is ${max}`, {
      phase: "admission",
    });
  }
}
