import { isTerminal, type Listed, type Provider } from "../contract/index.ts";
import { appendEvent, findSandbox, liveSandboxes, type SandboxRow } from "../ledger/index.ts";
import { type Backend, opened } from "./backends.ts";
import { type Context, durability, hostOf, op } from "./context.ts";
import { move } from "./lifecycle.ts";
import { lookAgain } from "./observe.ts";
import { parallel } from "./parallel.ts";
import type { Report } from "./report.ts";
import { endSandbox } from "./teardown.ts";

const AT_ONCE = 16;

interface Sweep {
  readonly ctx: Context;
  readonly backend: Backend;
  readonly provider: Provider;
  readonly report: Report;
  readonly living: ReadonlySet<string>;
  readonly adopt: boolean;
  /** When the list was begun: what became ready later may be missing in it. */
  readonly since: number;
}

/** Everything the backend has of ours. All or an error: half a list would make the rest look lost. */
async function readList(provider: Provider, ctx: Context): Promise<Map<string, Listed[]>> {
  const listed = new Map<string, Listed[]>();
  for await (const ref of provider.list(op(ctx))) listed.set(ref.id, [...(listed.get(ref.id) ?? []), ref]);
  return listed;
}

/** An object that no live row stands for: rows are written before objects, so it is nobody's. */
async function removeOrphan({ ctx, provider, backend, report }: Sweep, ref: Listed): Promise<void> {
  await provider.destroy(ref, op(ctx));
  report.result.orphans_removed.push({ id: ref.id, backend: backend.name });
  ctx.measure.count("sandboxer_orphans_removed_total", { backend: backend.name });
  await ctx.ledger.transaction((tx) =>
    appendEvent(tx, {
      type: "orphan.removed",
      at: ctx.clock.now(),
      tenant: ref.tenant,
      sandboxId: ref.id,
      data: { backend: backend.name, generation: ref.generation, native: ref.native },
    }),
  );
}

async function sweepObjects(sweep: Sweep, objects: readonly Listed[]): Promise<void> {
  const { ctx, backend, report } = sweep;
  for (const ref of objects) {
    await report.try({ backend: backend.name, sandboxId: ref.id }, async () => {
      const row = await findSandbox(ctx.ledger.db, ref.id);
      const current = row !== undefined && !isTerminal(row.state) && row.backend === backend.name && row.generation === ref.generation;
      if (!current && !ctx.live.isEnding(ref.id)) await removeOrphan(sweep, ref);
    });
  }
}

/** Work that its owner will not finish: a create of a dead process, a destroy that was not confirmed. */
async function settleUnfinished({ ctx, report, living }: Sweep, row: SandboxRow): Promise<void> {
  const mine = row.owner === ctx.instance;
  if (mine ? ctx.live.isCreating(row.id) || ctx.live.isEnding(row.id) : row.owner !== null && living.has(row.owner)) return;
  const claimed = await ctx.ledger.transaction(
    async (tx) => {
      const now = await findSandbox(tx, row.id);
      if (now === undefined || now.state !== row.state || now.owner !== row.owner) return undefined;
      const half =
        now.state === "provisioning"
          ? { error_code: "canceled", error_message: "the process that was making it ended before it was ready" }
          : {};
      return move(tx, row.id, "stop", { at: ctx.clock.now(), patch: { owner: ctx.instance, desired: "terminated", ...half } });
    },
    durability(ctx, row.backend),
  );
  if (claimed === undefined) return;
  const ended = await endSandbox(ctx, claimed, { reason: claimed.termination_reason ?? "error", detail: claimed.termination_detail });
  report.ended(ended.id, ended.termination_reason ?? ended.error_code);
}

async function lose({ ctx, report, backend }: Sweep, row: SandboxRow, thrown: unknown): Promise<void> {
  report.error(thrown, { backend: backend.name, sandboxId: row.id });
  if (row.state === "lost") return;
  await ctx.ledger.transaction((tx) => move(tx, row.id, "lose", { at: ctx.clock.now(), data: { backend: backend.name } }));
  report.result.lost.push(row.id);
}

async function sweepLive(sweep: Sweep, row: SandboxRow, objects: readonly Listed[]): Promise<void> {
  const { ctx, report, adopt, since } = sweep;
  const listed = objects.find(({ generation }) => generation === row.generation);
  const runs = (row.state === "ready" || row.state === "lost") && row.desired === "running";
  let lost = row.state === "lost";
  if (listed?.running !== true || !runs) {
    if (listed === undefined && (row.ready_at ?? since) >= since) return;
    try {
      const { row: seen, gone, found } = await lookAgain(ctx, row);
      if (found) report.ended(seen.id, seen.termination_reason);
      if (gone) return;
      lost = seen.state === "lost";
    } catch (thrown) {
      // Neither in the list nor answered for: not known to be gone, so not ended.
      if (listed === undefined) await lose(sweep, row, thrown);
      else report.error(thrown, { backend: row.backend, sandboxId: row.id });
      return;
    }
  }
  if (lost) await ctx.ledger.transaction((tx) => move(tx, row.id, "recover", { at: ctx.clock.now() }));
  if (adopt) report.result.adopted.push(row.id);
}

/**
 * Compares a backend with the ledger, both ways. The rows are read before the list and looked up again after it, so
 * nothing that is made or ended meanwhile is taken for lost or orphaned. A list that fails is an error in the report,
 * and nothing is concluded from it.
 */
export async function sweepBackend(
  ctx: Context,
  backend: Backend,
  report: Report,
  options: { living: ReadonlySet<string>; adopt: boolean },
): Promise<void> {
  const rows = await liveSandboxes(ctx.ledger.db, backend.name, hostOf(ctx));
  const since = ctx.clock.now();
  let provider: Provider;
  let listed: Map<string, Listed[]>;
  try {
    await backend.open();
    provider = opened(backend);
    listed = await readList(provider, ctx);
    backend.lastAnswer = { ok: true, detail: null };
  } catch (thrown) {
    report.error(thrown, { backend: backend.name });
    backend.lastAnswer = { ok: false, detail: report.result.errors.at(-1)?.message ?? null };
    return;
  }
  const sweep: Sweep = { ctx, backend, provider, report, since, ...options };
  await parallel(rows, AT_ONCE, (row) =>
    report.try({ backend: backend.name, sandboxId: row.id }, () =>
      row.state === "provisioning" || row.state === "stopping"
        ? settleUnfinished(sweep, row)
        : sweepLive(sweep, row, listed.get(row.id) ?? []),
    ),
  );
  const known = new Map(rows.map((row) => [row.id, row.generation]));
  const strangers = [...listed.values()]
    .map((objects) => objects.filter((ref) => known.get(ref.id) !== ref.generation))
    .filter((objects) => objects.length > 0);
  await parallel(strangers, AT_ONCE, (objects) => sweepObjects(sweep, objects));
  if (provider.maintain !== undefined) await report.try({ backend: backend.name }, () => provider.maintain?.(op(ctx)) ?? Promise.resolve());
}
