import { SandboxerError, type Principal } from "../../contract/index.ts";
import { authenticateKey } from "../auth.ts";
import type { HttpContext } from "../call.ts";
import type { E2bContext } from "./context.ts";

/** The form every version of the SDK takes. Behind the prefix are the same digits as in `sbx_...`. */
const E2B_KEY = /^e2b_([0-9a-f]{40})$/;

/** Who sends a control-plane request, by `X-API-KEY`. One answer for a malformed, an unknown and a revoked key. */
export async function authenticateApiKey({ engine }: E2bContext, context: HttpContext): Promise<Principal> {
  const presented = context.req.header("x-api-key");
  if (presented !== undefined) return authenticateKey(engine, toOwnForm(presented));
  const { principal } = context.env.door;
  if (principal !== undefined) return principal;
  throw new SandboxerError("unauthorized", "no key was sent in X-API-KEY", {
    hint: "'sand-boxer e2b env' makes one and prints the variables",
  });
}

function toOwnForm(key: string): string {
  const digits = E2B_KEY.exec(key)?.[1];
  return digits === undefined ? key : `sbx_${digits}`;
}
