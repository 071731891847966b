import { parse, type QuotaInfo, QuotaRequest, QuotaSubject, SandboxerError } from "../contract/index.ts";
import {
  appendEvent, countBegunSince, countLive, type Db, deleteQuota, findKey, findProject, findTenant, type Holder, type LiveCount, listQuotas, putQuota, type QuotaRow,
} from "../ledger/index.ts"; // prettier-ignore
import { audit } from "./audit.ts";
import type { QuotaVerbs } from "./access-verbs.ts";
import { MINUTE_MS, sumOf } from "./admission.ts";
import type { Context } from "./context.ts";

function holderOf(subject: string): Holder {
  const [kind = "", rest = ""] = subject.split(":");
  if (kind === "key") return { kind, key: rest };
  const [tenant = "", project] = rest.split("/");
  return project === undefined ? { kind: "tenant", tenant } : { kind: "project", tenant, project };
}

function isOf(holder: Holder): (row: LiveCount) => boolean {
  if (holder.kind === "key") return (row) => row.key_id === holder.key;
  return (row) => row.tenant === holder.tenant && (holder.kind === "tenant" || row.project === holder.project);
}

/** A quota of what does not exist would be a typo that limits nobody. */
async function exists(tx: Db, holder: Holder): Promise<boolean> {
  if (holder.kind === "key") return (await findKey(tx, holder.key)) !== undefined;
  if (holder.kind === "project") return (await findProject(tx, holder.tenant, holder.project)) !== undefined;
  return holder.tenant === "default" || (await findTenant(tx, holder.tenant)) !== undefined;
}

async function infoOf(ctx: Context, row: QuotaRow, live: readonly LiveCount[]): Promise<QuotaInfo> {
  const holder = holderOf(row.subject);
  return {
    object: "quota",
    subject: row.subject,
    concurrent: row.concurrent,
    creates_per_minute: row.creates_per_minute,
    updated_at: new Date(row.updated_at).toISOString(),
    used: {
      concurrent: sumOf(live, isOf(holder)),
      creates_per_minute: await countBegunSince(ctx.ledger.db, holder, ctx.clock.now() - MINUTE_MS),
    },
  };
}

/** Bounds of tenants, projects and keys. */
export function quotas(ctx: Context): QuotaVerbs {
  return {
    async set(who, input) {
      const { subject, concurrent = null, creates_per_minute = null } = parse(QuotaRequest, input, { what: "quota" });
      const row = { subject, concurrent, creates_per_minute, updated_at: ctx.clock.now() };
      await ctx.ledger.transaction(
        async (tx) => {
          if (!(await exists(tx, holderOf(subject)))) throw new SandboxerError("not_found", `there is no ${subject.replace(":", " ")}`);
          await putQuota(tx, row);
          const data = { subject, concurrent, creates_per_minute, key_id: who.key_id };
          await appendEvent(tx, { type: "quota.set", at: row.updated_at, tenant: who.tenant, sandboxId: null, data });
          await audit(tx, who, { action: "quota.set", at: row.updated_at, target: subject, detail: { concurrent, creates_per_minute } });
        },
        { durable: true },
      );
      return infoOf(ctx, row, await countLive(ctx.ledger.db));
    },
    async list() {
      const live = await countLive(ctx.ledger.db);
      const infos: QuotaInfo[] = [];
      for (const row of await listQuotas(ctx.ledger.db)) infos.push(await infoOf(ctx, row, live));
      return infos;
    },
    async remove(who, given) {
      const subject = parse(QuotaSubject, given, { what: "subject" });
      const at = ctx.clock.now();
      await ctx.ledger.transaction(
        async (tx) => {
          if (!(await deleteQuota(tx, subject))) throw new SandboxerError("not_found", `there is no quota of ${subject}`);
          await appendEvent(tx, { type: "quota.removed", at, tenant: who.tenant, sandboxId: null, data: { subject, key_id: who.key_id } });
          await audit(tx, who, { action: "quota.removed", at, target: subject });
        },
        { durable: true },
      );
    },
  };
}
