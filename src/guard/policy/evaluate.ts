import { DEFAULT_DENY, type PolicyExplanation, SandboxerError, traitsOfAction } from "../../contract/index.ts";
import { type CedarModule, loadCedar, type StatefulAuthorizationCall } from "./cedar.ts";
import { type Ask, askerEntity, known, thingEntity } from "./facts.ts";
import type { Rules } from "./read.ts";
import { POLICY_SCHEMA } from "./schema.ts";
import type { Uses } from "./uses.ts";

/** What a policy says to a request. */
export interface Verdict {
  readonly allowed: boolean;
  /** What decided, the first by id; `default-deny` where none permits. */
  readonly rule: string;
  /** All that decided. */
  readonly rules: readonly string[];
}

/** What the rules look at of a call, and nothing else. */
function only(call: ReturnType<typeof callOf>, { context, principal, resource, tags, groups }: Uses): ReturnType<typeof callOf> {
  const is = (one: { type: string; id: string }, other: { type: string; id: string }) => one.type === other.type && one.id === other.id;
  const chosen = <T extends object>(facts: T, names: ReadonlySet<string>): T =>
    Object.fromEntries(Object.entries(facts).filter(([name]) => names.has(name))) as T;
  const narrowed = call.entities.flatMap((entity) => {
    if (entity.uid === call.action) return groups ? [entity] : [];
    const names = new Set([...(is(entity.uid, call.principal) ? principal : []), ...(is(entity.uid, call.resource) ? resource : [])]);
    const { tags: labels, ...rest } = { tags: undefined, ...entity };
    return [{ ...rest, attrs: chosen(entity.attrs, names), ...(tags && labels !== undefined ? { tags: labels } : {}) }];
  });
  return { ...call, context: context === null ? call.context : chosen(call.context, context), entities: narrowed };
}

/** Rules that are ready to be asked. Safe to share; holds one of the evaluator's slots while it is used. */
export interface Policy {
  readonly rules: Rules;
  /** @throws SandboxerError `policy_unavailable` where a rule cannot be evaluated: it may be the one that forbids. */
  decide(ask: Ask): Verdict;
  /** The same with what every rule says to it; slower. */
  explain(ask: Ask): PolicyExplanation;
}

/** Policies that the evaluator keeps parsed. */
const SLOTS = 8;
/** Verdicts kept of one policy. The same request always has the same one: nothing but the request goes into it. */
const KEPT = 4096;

const slots: (string | undefined)[] = Array.from({ length: SLOTS });
let next = 0;

/** A slot that holds these rules parsed; whoever had it before parses anew when asked. */
function slotFor(cedar: CedarModule, { digest, texts }: Rules): string {
  const held = slots.indexOf(digest);
  if (held !== -1) return `slot-${held}`;
  const taken = next++ % SLOTS;
  slots[taken] = undefined;
  const parsed = cedar.preparsePolicySet(`slot-${taken}`, { staticPolicies: { ...texts } });
  if (parsed.type === "failure") throw unavailable(`the rules in force cannot be read: ${parsed.errors[0]?.message ?? "unknown"}`);
  slots[taken] = digest;
  return `slot-${taken}`;
}

function unavailable(message: string, rule?: string): SandboxerError {
  return new SandboxerError("policy_unavailable", message, { phase: "policy", ...(rule === undefined ? {} : { rule }) });
}

function callOf({ who, action, resource, context }: Ask) {
  const [asker, thing] = [askerEntity(who), thingEntity(resource)];
  const same = asker.uid.type === thing.uid.type && asker.uid.id === thing.uid.id;
  const uid = { type: "Action", id: action };
  // An action stands below its group for rules that name the group.
  const grouped = { uid, attrs: {}, parents: [{ type: "Action", id: traitsOfAction(action).group }] };
  return {
    principal: asker.uid,
    action: uid,
    resource: thing.uid,
    context: known(context) as StatefulAuthorizationCall["context"],
    entities: same ? [asker, grouped] : [asker, thing, grouped],
  };
}

function verdictOf(
  allowed: boolean,
  reason: readonly string[],
  errors: readonly { policyId: string; error: { message: string } }[],
): Verdict {
  const rules = reason.toSorted();
  const [first] = rules;
  const failed = errors.toSorted((a, b) => (a.policyId < b.policyId ? -1 : 1))[0];
  // A rule that forbids forbids whatever else fails; what would be let through is not, where some rule could not say.
  if (allowed && failed !== undefined)
    throw unavailable(`rule "${failed.policyId}" cannot be evaluated: ${failed.error.message}`, failed.policyId);
  return { allowed, rule: first ?? DEFAULT_DENY, rules };
}

/** Prepares rules to be asked; loads the evaluator. */
export async function preparePolicy(rules: Rules): Promise<Policy> {
  const cedar = await loadCedar();
  slotFor(cedar, rules);
  const kept = new Map<string, Verdict>();
  const decide = (ask: Ask): Verdict => {
    const call = only(callOf(ask), rules.uses);
    const key = JSON.stringify(call);
    const before = kept.get(key);
    if (before !== undefined) return before;
    const answer = cedar.statefulIsAuthorized({ ...call, preparsedPolicySetId: slotFor(cedar, rules), validateRequest: false });
    if (answer.type === "failure") throw unavailable(`the policy cannot be evaluated: ${answer.errors[0]?.message ?? "unknown"}`);
    const { decision, diagnostics } = answer.response;
    const verdict = verdictOf(decision === "allow", diagnostics.reason, diagnostics.errors);
    const oldest = kept.size >= KEPT ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(key, verdict);
    return verdict;
  };
  return { rules, decide, explain: (ask) => explain(cedar, rules, callOf(ask)) };
}

/** The name under which the evaluator keeps the schema parsed. */
const SCHEMA = "sand-boxer";
let schemaParsed = false;

function schemaIn(cedar: CedarModule): string {
  if (!schemaParsed) {
    const parsed = cedar.preparseSchema(SCHEMA, POLICY_SCHEMA);
    if (parsed.type === "failure") throw new SandboxerError("internal", `the policy schema is wrong: ${parsed.errors[0]?.message ?? ""}`);
    schemaParsed = true;
  }
  return SCHEMA;
}

/** Held against the schema: a question with a name in it that no rule could ask is refused, not answered. */
function explain(cedar: CedarModule, rules: Rules, call: ReturnType<typeof callOf>): PolicyExplanation {
  const whole = cedar.statefulIsAuthorized({
    ...call,
    preparsedPolicySetId: slotFor(cedar, rules),
    preparsedSchemaName: schemaIn(cedar),
    validateRequest: true,
  });
  if (whole.type === "failure") {
    const message = whole.errors[0]?.message ?? "unknown";
    throw new SandboxerError("invalid_request", `request: ${message}`, { phase: "policy", issues: [{ path: "request", message }] });
  }
  const each = cedar.isAuthorizedPartial({ ...call, policies: { staticPolicies: { ...rules.texts } }, validateRequest: false });
  const satisfied = each.type === "failure" ? [] : each.response.satisfied;
  const { decision, diagnostics } = whole.response;
  const failed = new Map(diagnostics.errors.map(({ policyId, error }) => [policyId, error.message]));
  const closed = decision === "allow" && failed.size > 0;
  const deciding = closed ? [...failed.keys()] : diagnostics.reason;
  return {
    object: "policy_explanation",
    decision: closed ? "deny" : decision,
    rule: deciding.toSorted()[0] ?? DEFAULT_DENY,
    rules: rules.rules.map((rule) => {
      const error = failed.get(rule.id);
      if (error !== undefined) return { ...rule, verdict: "fails" as const, error };
      if (diagnostics.reason.includes(rule.id)) return { ...rule, verdict: "decides" as const };
      return { ...rule, verdict: satisfied.includes(rule.id) ? ("matches" as const) : ("does not match" as const) };
    }),
  };
}
