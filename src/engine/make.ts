import { promises as timers } from "node:timers";
import { type Sandbox, SandboxerError } from "../contract/index.ts";
import type { SandboxRow } from "../ledger/index.ts";
import { attempt, type Attempt } from "./attempt.ts";
import type { Context } from "./context.ts";
import { withCost } from "./money/cost.ts";
import type { Plan } from "./plan.ts";
import { nobodyCan, type Outcome } from "./profile-chain.ts";
import type { Admission } from "./routing/gates.ts";
import type { ResolvedSecrets } from "./secret-binding.ts";
import { fallBack, giveUp } from "./unwind.ts";
import { toSandbox } from "./view.ts";

/** Leave at the first of them that can be used soon, or why there is none. */
export function admit(ctx: Context, { settings }: Plan, ranked: readonly string[]): Admission | SandboxerError {
  try {
    return ctx.gates.admit(ranked, settings.readyTimeout * 1000);
  } catch (thrown) {
    if (nobodyCan(thrown)) return thrown;
    throw thrown;
  }
}

/** Waits for the turn, then tries; whatever comes of it, the backend's breaker is told. */
async function attemptAt(
  ctx: Context,
  row: SandboxRow,
  { settings }: Plan,
  secrets: ResolvedSecrets,
  admission: Admission,
  signal: AbortSignal,
): Promise<Attempt> {
  let told = false;
  try {
    // One that is given up while it waits is found so by the attempt.
    if (admission.waitMs > 0) await timers.setTimeout(admission.waitMs, undefined, { signal }).catch(() => undefined);
    const began = performance.now();
    const result = await attempt(ctx, row, settings, secrets, signal);
    ctx.measure.count("sandboxer_creates_total", { backend: row.backend, result: result.ok ? "ok" : result.error.code });
    // An object was made: what failed after that was not the backend's giving one.
    if (result.ok || result.left === "object") admission.acquired();
    else if (signal.aborted) admission.released();
    else {
      if (admission.failed(result.error) || result.left === "unknown")
        ctx.measure.rolling.record(row.backend, "acquire_failed", performance.now() - began);
    }
    told = true;
    return result;
  } finally {
    if (!told) admission.released();
  }
}

/** Tries the ranked backends in turn; the next one only after a retryable error of which nothing is left. */
export async function make(
  ctx: Context,
  first: SandboxRow,
  plan: Plan,
  secrets: ResolvedSecrets,
  leave: Admission,
  signal: AbortSignal,
): Promise<Outcome<Sandbox>> {
  let [row, admission] = [first, leave];
  let untried = plan.ranking.ranked;
  for (;;) {
    const { backend } = admission;
    const result = await attemptAt(ctx, row, plan, secrets, admission, signal);
    if (result.ok) return { done: await withCost(ctx, toSandbox(result.row)) };
    untried = untried.filter((name) => name !== backend);
    const another = result.error.retryable && result.left === "nothing" && !signal.aborted;
    const next = another && untried.length > 0 ? admit(ctx, plan, untried) : undefined;
    const moved =
      next === undefined || next instanceof SandboxerError ? undefined : await moveTo(ctx, row, next, result.error).catch(asError);
    // Nobody pays for it there: what is told is that, and the row is settled where it was.
    if (moved instanceof SandboxerError) return { error: await giveUp(ctx, row, { ...result, error: moved }), final: true };
    if (moved === undefined) {
      const error = await giveUp(ctx, row, result);
      // Someone destroyed it meanwhile: nobody wants it any more.
      return { error, final: !another || error.code === "canceled" };
    }
    [row, admission] = [moved.row, moved.admission];
  }
}

async function moveTo(
  ctx: Context,
  row: SandboxRow,
  admission: Admission,
  error: SandboxerError,
): Promise<{ row: SandboxRow; admission: Admission } | undefined> {
  let moved: SandboxRow | undefined;
  try {
    moved = await fallBack(ctx, row, admission.backend, error);
  } finally {
    if (moved === undefined) admission.released({ unused: true });
  }
  return moved === undefined ? undefined : { row: moved, admission };
}

function asError(thrown: unknown): SandboxerError {
  return SandboxerError.from(thrown, { phase: "create" });
}
