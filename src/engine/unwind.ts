import { isTerminal, type Ref, SandboxerError } from "../contract/index.ts";
import { appendEvent, closeUsage, findSandbox, openUsage, type SandboxRow, updateNetwork, updateSandbox } from "../ledger/index.ts";
import type { Attempt } from "./attempt.ts";
import { type Context, durability, hostFor, op, providerOf } from "./context.ts";
import { move } from "./lifecycle.ts";
import { reserve } from "./money/reserve.ts";
import { settleOpen } from "./money/settle.ts";
import { fellBack } from "./routing/record.ts";
import { toSandbox } from "./view.ts";

/**
 * Gives the row to the next backend, under a new generation: what the last one may still show belongs to no handle.
 * undefined where the sandbox is no longer being made (it was destroyed meanwhile).
 *
 * @throws SandboxerError `budget_exceeded`, `account_exhausted` where nobody pays for it there, `backend_unavailable` where a host has no room: it is then still the
 * last one's.
 */
export async function fallBack(ctx: Context, row: SandboxRow, backend: string, error: SandboxerError): Promise<SandboxRow | undefined> {
  const at = ctx.clock.now();
  return ctx.ledger.transaction(
    async (tx) => {
      const current = await findSandbox(tx, row.id);
      if (current?.state !== "provisioning") return undefined;
      const generation = row.generation + 1;
      const { route, resources } = toSandbox(row);
      const decision = fellBack(route, row.backend, backend, error);
      const patch = { backend, generation, host: hostFor(ctx, backend), ref: null, route: JSON.stringify(decision) };
      await ctx.inventory.takePlace(tx, backend, resources);
      await closeUsage(tx, row.id, at);
      await settleOpen(tx, current, at);
      await openUsage(tx, { sandboxId: row.id, generation, tenant: row.tenant, backend, at, resources });
      await updateSandbox(tx, row.id, patch);
      await updateNetwork(tx, row.id, { generation, applied: 0, attached: 0, bytes_up: 0, bytes_down: 0, released_at: null });
      await reserve(ctx, tx, { ...current, ...patch }, row.key_id, at);
      await appendEvent(tx, {
        type: "sandbox.rerouted",
        at,
        tenant: row.tenant,
        sandboxId: row.id,
        data: { from: row.backend, to: backend, generation, error: error.code },
      });
      return { ...current, ...patch };
    },
    durability(ctx, backend),
  );
}

/** Undoes what a failed try left, and settles the row: `failed` where nothing is left, else `stopping` for the sweep. */
export async function giveUp(ctx: Context, row: SandboxRow, result: Exclude<Attempt, { ok: true }>): Promise<SandboxerError> {
  let { error } = result;
  let gone = result.left === "nothing";
  if (result.left === "object") {
    try {
      await destroyObject(ctx, row, result.ref);
      gone = true;
    } catch (thrown) {
      ctx.log.warn(
        { sandbox: row.id, backend: row.backend, error: String(thrown) },
        "an unwind was not confirmed; the sweep goes on with it",
      );
    }
  }
  ctx.measure.count("sandboxer_errors_total", { verb: "create", code: error.code });
  try {
    const ended = await settle(ctx, row, error, gone, result.left === "object" ? result.ref : null);
    if (ended.termination_reason !== null && ended.error_code === null) {
      error = new SandboxerError("canceled", `the sandbox was destroyed (${ended.termination_reason}) while it was being made`, {
        phase: "create",
        backend: row.backend,
      });
    }
  } catch (thrown) {
    ctx.log.error({ sandbox: row.id, error: String(thrown) }, "a failed create could not be written; the sweep settles it");
  }
  return error;
}

async function destroyObject(ctx: Context, row: SandboxRow, ref: Ref): Promise<void> {
  await providerOf(ctx, row.backend).destroy(ref, op(ctx));
}

function settle(ctx: Context, row: SandboxRow, error: SandboxerError, gone: boolean, ref: Ref | null): Promise<SandboxRow> {
  const at = ctx.clock.now();
  const why = { error_code: error.code, error_message: error.message };
  return ctx.ledger.transaction(
    async (tx) => {
      const current = await findSandbox(tx, row.id);
      if (current !== undefined && isTerminal(current.state)) return current;
      // Someone destroyed it while it was being made: theirs is the reason, and it ends as terminated.
      if (current?.state === "stopping") {
        if (gone) return move(tx, row.id, "confirm_gone", { at });
        return move(tx, row.id, "stop", { at, patch: { owner: null, ...(ref === null ? {} : { ref: JSON.stringify(ref) }) } });
      }
      if (gone) return move(tx, row.id, "fail", { at, patch: why });
      return move(tx, row.id, "stop", {
        at,
        patch: { ...why, owner: null, desired: "terminated", ...(ref === null ? {} : { ref: JSON.stringify(ref) }) },
      });
    },
    durability(ctx, row.backend),
  );
}
