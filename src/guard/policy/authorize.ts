import { type PolicyAction, type Principal, SandboxerError, traitsOfAction, withheldFrom } from "../../contract/index.ts";
import type { Policy, Verdict } from "./evaluate.ts";
import type { Asker, Facts, Thing } from "./facts.ts";

/** What the key itself allows: its scopes, and what its role leaves out. Throws `forbidden`. */
function requireScopeOf(who: Principal, action: PolicyAction): void {
  const { scope } = traitsOfAction(action);
  if (scope !== null && !who.scopes.includes(scope) && !who.scopes.includes("admin"))
    throw new SandboxerError(
      "forbidden",
      `${action} needs a key with the scope "${scope}"; this one has ${who.scopes.join(", ") || "none"}`,
    );
  if (withheldFrom(who.role).includes(action))
    throw new SandboxerError("forbidden", `${action} is not for keys of the role ${who.role}`, {
      hint: "Use a key of the role operator.",
    });
}

/** Whether it is the operator on the machine itself, who came without a key. A key, an admin's too, came over a network. */
export function isLocalOperator(who: Principal): boolean {
  return who.key_id === null && who.scopes.includes("admin");
}

/** What the operator on the machine may always do: rules that lock everybody out must be replaceable by somebody. */
const NEVER_LOCKED: ReadonlySet<PolicyAction> = new Set(["policy.read", "policy.write"]);

/** What an action is done to, and what of the request rules can ask. */
export interface Subject {
  readonly resource: Thing;
  readonly context?: Facts;
}

/**
 * The one question at every door: may they do this to that. The scopes of the key first, then the policy, where one is in force:
 * nothing is allowed that no rule permits, and a rule that forbids wins. `subject` is asked only where there is a policy.
 *
 * @returns why the policy denies it; undefined where it is allowed.
 * @throws SandboxerError `forbidden` by scope or role, `policy_unavailable` where the policy cannot be had or cannot say.
 */
export async function authorize(
  policyInForce: () => Promise<Policy | null>,
  who: Asker,
  action: PolicyAction,
  subject: () => Promise<Subject> | Subject,
): Promise<Verdict | undefined> {
  if (!("visitor" in who)) {
    requireScopeOf(who, action);
    if (NEVER_LOCKED.has(action) && isLocalOperator(who)) return undefined;
  }
  const policy = await policyInForce();
  if (policy === null) return undefined;
  const { resource, context = {} } = await subject();
  const verdict = policy.decide({ who, action, resource, context });
  return verdict.allowed ? undefined : verdict;
}
