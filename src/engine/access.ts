import { type Action, isId, type Principal, SandboxerError } from "../contract/index.ts";
import { findSandbox, type SandboxRow } from "../ledger/index.ts";
import type { Context } from "./context.ts";
import { allow } from "./lifecycle.ts";

/** @throws SandboxerError `forbidden` */
export function requireAdmin(who: Principal, what: string): void {
  if (!who.scopes.includes("admin")) throw new SandboxerError("forbidden", `${what} needs a key with the scope "admin"`);
}

/** Whether a caller may know of what belongs to a tenant and a project. */
export function sees(who: Principal, owner: { tenant: string; project: string | null }): boolean {
  if (who.scopes.includes("admin")) return true;
  return owner.tenant === who.tenant && (who.project === undefined || owner.project === who.project);
}

/** Another tenant's or project's sandbox answers in the same words as one that does not exist. */
export async function accessibleSandbox(ctx: Context, who: Principal, id: string): Promise<SandboxRow> {
  if (!isId("sandbox", id))
    throw new SandboxerError("invalid_request", "id: not a sandbox id", {
      issues: [{ path: "id", message: 'must be "sb" and 22 letters and digits' }],
    });
  const row = await findSandbox(ctx.ledger.db, id);
  if (row === undefined || !sees(who, row)) throw new SandboxerError("sandbox_not_found", `there is no sandbox ${id}`);
  return row;
}

/** The same, and its state allows the action. */
export async function sandboxFor(ctx: Context, who: Principal, id: string, action: Action): Promise<SandboxRow> {
  const row = await accessibleSandbox(ctx, who, id);
  allow(row, action);
  return row;
}
