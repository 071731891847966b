import type { CreateRequest, Principal, Route } from "../contract/index.ts";
import type { Context } from "./context.ts";
import { refusal } from "./plan.ts";
import { eachProfile, nobodyCan } from "./profile-chain.ts";
import { measurementsRead } from "./routing/keep.ts";

/**
 * Ranks backends for a request without creating: the decision for the first profile that a backend can take, or for the one asked for
 * where there is none.
 *
 * @throws SandboxerError as a create does, where what is asked for cannot be planned at all.
 */
export async function explainRoute(ctx: Context, who: Principal, input: CreateRequest): Promise<Route> {
  await measurementsRead(ctx);
  let asked: Route | undefined;
  try {
    return await eachProfile<Route>(ctx, who, input, (plan) => {
      const decision = plan.ranking.route;
      asked ??= decision;
      return Promise.resolve(decision.chosen === null ? { error: refusal(plan), final: false } : { done: decision });
    });
  } catch (thrown) {
    if (asked !== undefined && nobodyCan(thrown)) return asked;
    throw thrown;
  }
}
