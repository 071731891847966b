import { nearest, parse, type ProjectInfo, ProjectName, ProjectRequest, SandboxerError } from "../contract/index.ts";
import {
  appendEvent,
  countKeys,
  countLive,
  type Db,
  deleteProject,
  findProject,
  insertProject,
  listProjects,
  type ProjectRow,
} from "../ledger/index.ts";
import { audit } from "./audit.ts";
import type { ProjectVerbs } from "./access-verbs.ts";
import { sumOf } from "./admission.ts";
import type { Context } from "./context.ts";
import { ensureTenant } from "./tenants.ts";

/** @throws SandboxerError `not_found` with the nearest name. */
export async function requireProject(tx: Db, tenant: string, name: string): Promise<void> {
  if ((await findProject(tx, tenant, name)) !== undefined) return;
  const near = nearest(
    name,
    (await listProjects(tx, tenant)).map((row) => row.name),
  );
  throw new SandboxerError("not_found", `tenant ${tenant} has no project "${name}"${near === undefined ? "" : `; nearest: "${near}"`}`, {
    hint: "List them with 'sand-boxer project ls'; make one with 'sand-boxer project create NAME'.",
  });
}

async function infosOf(ctx: Context, db: Db, rows: readonly ProjectRow[]): Promise<ProjectInfo[]> {
  const [keys, live] = [await countKeys(db, ctx.clock.now()), await countLive(db)];
  return rows.map(({ tenant, name, description, created_at }) => {
    const own = (row: { tenant: string; project: string | null }) => row.tenant === tenant && row.project === name;
    return {
      object: "project",
      name,
      tenant,
      description,
      created_at: new Date(created_at).toISOString(),
      keys: keys.reduce((sum, row) => sum + (own(row) ? row.count : 0), 0),
      sandboxes: sumOf(live, own),
    };
  });
}

export function projects(ctx: Context): ProjectVerbs {
  return {
    async create(who, input) {
      const { name, tenant = who.tenant, description = null } = parse(ProjectRequest, input, { what: "project" });
      const at = ctx.clock.now();
      const row = { tenant, name, description, created_at: at };
      await ctx.ledger.transaction(
        async (tx) => {
          if ((await findProject(tx, tenant, name)) !== undefined)
            throw new SandboxerError("conflict", `tenant ${tenant} has a project "${name}" already`);
          await ensureTenant(tx, tenant, at);
          await insertProject(tx, row);
          await appendEvent(tx, { type: "project.created", at, tenant, sandboxId: null, data: { name, key_id: who.key_id } });
          await audit(tx, who, { action: "project.created", at, target: `${tenant}/${name}` });
        },
        { durable: true },
      );
      const [info] = await infosOf(ctx, ctx.ledger.db, [row]);
      if (info === undefined) throw new SandboxerError("internal", `project ${name} was made and is not there`);
      return info;
    },
    async list(who) {
      const rows = await listProjects(ctx.ledger.db, who.scopes.includes("admin") ? undefined : who.tenant);
      return infosOf(
        ctx,
        ctx.ledger.db,
        rows.filter(({ name }) => who.project === undefined || who.project === name),
      );
    },
    async remove(who, tenant, given) {
      const name = parse(ProjectName, given, { what: "project" });
      const at = ctx.clock.now();
      await ctx.ledger.transaction(
        async (tx) => {
          const row = await findProject(tx, tenant, name);
          if (row === undefined) throw new SandboxerError("not_found", `tenant ${tenant} has no project "${name}"`);
          const [info] = await infosOf(ctx, tx, [row]);
          if (info !== undefined && info.keys + info.sandboxes > 0)
            throw new SandboxerError("conflict", `project ${name} has ${info.keys} keys that work and ${info.sandboxes} live sandboxes`, {
              hint: "Revoke its keys and end its sandboxes first.",
            });
          await deleteProject(tx, tenant, name);
          await appendEvent(tx, { type: "project.removed", at, tenant, sandboxId: null, data: { name, key_id: who.key_id } });
          await audit(tx, who, { action: "project.removed", at, target: `${tenant}/${name}` });
        },
        { durable: true },
      );
    },
  };
}
