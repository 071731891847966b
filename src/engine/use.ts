import { type Capability, type Principal, type Provider, type Ref, SandboxerError } from "../contract/index.ts";
import type { SandboxRow } from "../ledger/index.ts";
import { accessibleSandbox, requireHere, sandboxFor } from "./access.ts";
import { type Context, providerOf } from "./context.ts";
import { allow } from "./lifecycle.ts";
import { lookAgain } from "./observe.ts";
import { rouse } from "./rest.ts";
import { storedRef } from "./view.ts";

/** A sandbox that may be used, with what is needed to use it. */
export interface Usable {
  readonly row: SandboxRow;
  readonly ref: Ref;
  readonly provider: Provider;
}

/** @throws SandboxerError `sandbox_not_found`, `wrong_state`, or what the backend could not be opened with. */
export async function usable(ctx: Context, who: Principal, id: string): Promise<Usable> {
  return handleOf(ctx, await sandboxFor(ctx, who, id, "use"));
}

/** The same, for what counts as use: one that stands still is woken by it where its profile says so. */
export async function used(ctx: Context, who: Principal, id: string): Promise<Usable> {
  const row = await accessibleSandbox(ctx, who, id);
  if (!wakesOnUse(row)) {
    allow(row, "use");
    return handleOf(ctx, row);
  }
  await requireHere(ctx, row);
  return handleOf(ctx, await rouse(ctx, row, "use"));
}

/** Whether it stands still, and use wakes it. */
export function wakesOnUse({ state, on_use: onUse }: SandboxRow): boolean {
  return onUse === "resume" && (state === "paused" || state === "suspended");
}

/** A row with what is needed to ask its backend about it. */
export async function handleOf(ctx: Context, row: SandboxRow): Promise<Usable> {
  const { id } = row;
  await requireHere(ctx, row);
  const ref = storedRef(row);
  if (ref === null) throw new SandboxerError("internal", `sandbox ${id} is ${row.state} without a handle`);
  return { row, ref, provider: providerOf(ctx, row.backend) };
}

/** @throws SandboxerError `capability_unsupported` naming the field and the capability. */
export function requireCapability({ row, provider }: Usable, capability: Capability, field: string): void {
  if (provider.traits.capabilities[capability] !== undefined) return;
  throw new SandboxerError("capability_unsupported", `${field}: needs ${capability}, which backend ${row.backend} does not have`, {
    backend: row.backend,
    issues: [{ path: field, message: `needs ${capability}` }],
  });
}

/** What a call to the backend threw, after a look at whether the sandbox is still there: its end is then what is told. */
export async function explain(ctx: Context, row: SandboxRow, phase: string, thrown: unknown): Promise<SandboxerError> {
  const error = SandboxerError.from(thrown, { phase, backend: row.backend });
  ctx.measure.count("sandboxer_errors_total", { verb: phase, code: error.code });
  if (error.code !== "sandbox_not_found" && error.code !== "wrong_state") return error;
  const ended = await lookAgain(ctx, row).catch((failure: unknown) => {
    ctx.log.warn({ sandbox: row.id, error: String(failure) }, "the backend does not say whether the sandbox is still there");
    return undefined;
  });
  if (ended?.gone !== true) return error;
  const { termination_reason: reason, termination_detail: detail } = ended.row;
  return new SandboxerError(
    "wrong_state",
    `sandbox ${row.id} has ended: ${reason ?? ended.row.state}${detail === null ? "" : ` (${detail})`}`,
    { phase, backend: row.backend, cause: thrown },
  );
}

/** Runs one call to the backend that counts as use. */
export async function using<T>(ctx: Context, target: Usable, phase: string, call: () => Promise<T>): Promise<T> {
  await ctx.activity.touch(target.row);
  try {
    return await call();
  } catch (thrown) {
    throw await explain(ctx, target.row, phase, thrown);
  }
}

/** The same over a stream: every item counts as use, and an error on the way is explained. */
export async function* streaming<T>(ctx: Context, target: Usable, phase: string, stream: AsyncIterable<T>): AsyncIterable<T> {
  try {
    for await (const item of stream) {
      yield item;
      await ctx.activity.touch(target.row);
    }
  } catch (thrown) {
    throw await explain(ctx, target.row, phase, thrown);
  }
}
