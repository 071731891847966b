import { type CreateRequest, type ErrorCode, type Principal, type Route, SandboxerError } from "../contract/index.ts";
import type { Context } from "./context.ts";
import { type Draft, draft, type Plan, planOf } from "./plan.ts";
import { measurementsRead } from "./routing/keep.ts";

/** What came of a plan. `final`: nobody may be tried instead, whatever else is listed. */
export type Outcome<T> = { readonly done: T } | { readonly error: SandboxerError; readonly final: boolean };

/** What says that no backend can take a profile as it is; another profile may fit. */
const NOBODY_CAN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "no_backend", "backend_unavailable", "backend_rate_limited", "capability_unsupported", "isolation_unavailable",
]); // prettier-ignore

/** Whether an error says that no backend can take a profile as it is. */
export function nobodyCan(thrown: unknown): thrown is SandboxerError {
  return thrown instanceof SandboxerError && NOBODY_CAN.has(thrown.code);
}

type Tried = NonNullable<Route["instead_of"]>[number];

function planned(ctx: Context, tenant: string, wanted: Draft, tried: readonly Tried[]): Plan {
  const plan = planOf(ctx, tenant, wanted);
  const decision = plan.ranking.route;
  const instead_of = [...tried];
  return { ...plan, ranking: { ...plan.ranking, route: tried.length === 0 ? decision : { ...decision, instead_of } } };
}

function attemptPlan(ctx: Context, tenant: string, wanted: Draft, tried: readonly Tried[]): Plan | SandboxerError {
  try {
    return planned(ctx, tenant, wanted, tried);
  } catch (thrown) {
    if (nobodyCan(thrown)) return thrown;
    throw thrown;
  }
}

/**
 * Plans for the profile that is asked for and, where nobody can take it, for those of `routing.profiles` in turn: each a whole plan of
 * its own, with its own bounds below the operator's and the request's. `work` is given plans without a backend too.
 */
export async function eachProfile<T>(
  ctx: Context,
  who: Principal,
  input: CreateRequest,
  work: (plan: Plan) => Promise<Outcome<T>>,
): Promise<T> {
  if (ctx.backends.length > 1) await measurementsRead(ctx);
  const drafted = (request: CreateRequest) => ctx.telemetry.span("sandbox.plan", {}, () => draft(ctx, who, request));
  const first = await drafted(input);
  const { allowFallbacks, profiles } = first.settings.routing;
  const others = allowFallbacks ? [...profiles] : [];
  const tried: Tried[] = [];
  for (let wanted = first; ;) {
    const plan = attemptPlan(ctx, who.tenant, wanted, tried);
    const outcome = plan instanceof SandboxerError ? { error: plan, final: false } : await work(plan);
    if ("done" in outcome) return outcome.done;
    const { error } = outcome;
    const next = others.shift();
    if (outcome.final || next === undefined) throw told(error, tried);
    tried.push({ profile: `${wanted.profile.name}@${wanted.profile.version}`, code: error.code, reason: error.message });
    wanted = await drafted({ ...input, profile: next });
  }
}

/** The last error, with what stood in the way of the profiles before it. */
function told(error: SandboxerError, tried: readonly Tried[]): SandboxerError {
  if (tried.length === 0) return error;
  const before = tried.map(({ profile, code, reason }) => `${profile} (${code}: ${reason})`).join(", ");
  return new SandboxerError(error.code, `${error.message}; before it, ${before}`, error.details);
}
