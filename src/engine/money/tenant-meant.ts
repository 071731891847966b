import type { Principal } from "../../contract/index.ts";
import { requireAdmin } from "../access.ts";

/** Whose figures are meant; undefined: everyone's. */
export function tenantMeant(who: Principal, query: { tenant?: string; allTenants?: boolean }): string | undefined {
  if (query.allTenants === true || (query.tenant !== undefined && query.tenant !== who.tenant)) requireAdmin(who, "another tenant's usage");
  return query.allTenants === true ? undefined : (query.tenant ?? who.tenant);
}
