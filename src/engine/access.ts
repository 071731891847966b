import { type Action, isId, type Principal, SandboxerError } from "../contract/index.ts";
import { findSandbox, type SandboxRow } from "../ledger/index.ts";
import type { Context } from "./context.ts";
import { allow } from "./lifecycle.ts";

/** @throws SandboxerError `forbidden` */
export function requireAdmin(who: Principal, what: string): void {
  if (!who.scopes.includes("admin")) throw new SandboxerError("forbidden", `${what} needs a key with the scope "admin"`);
}

/** @throws SandboxerError `forbidden` */
export function requireSecrets(who: Principal, what: string): void {
  if (!who.scopes.includes("secrets") && !who.scopes.includes("admin"))
    throw new SandboxerError("forbidden", `${what} needs a key with the scope "secrets"`);
}

/** Whether it is the operator on the machine itself, who came without a key. A key, an admin's too, came over a network. */
export function isLocalOperator(who: Principal): boolean {
  return who.key_id === null && who.scopes.includes("admin");
}

/** Another tenant's sandbox answers in the same words as one that does not exist. */
export async function accessibleSandbox(ctx: Context, who: Principal, id: string): Promise<SandboxRow> {
  if (!isId("sandbox", id))
    throw new SandboxerError("invalid_request", "id: not a sandbox id", {
      issues: [{ path: "id", message: 'must be "sb" and 22 letters and digits' }],
    });
  const row = await findSandbox(ctx.ledger.db, id);
  if (row === undefined || (row.tenant !== who.tenant && !who.scopes.includes("admin"))) {
    throw new SandboxerError("sandbox_not_found", `there is no sandbox ${id}`);
  }
  return row;
}

/** The same, and its state allows the action. */
export async function sandboxFor(ctx: Context, who: Principal, id: string, action: Action): Promise<SandboxRow> {
  const row = await accessibleSandbox(ctx, who, id);
  allow(row, action);
  return row;
}
