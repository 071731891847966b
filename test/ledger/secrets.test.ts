import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  insertSandboxSecrets, insertSandbox, liveBindings, markDelivered, type NewSandboxRow, openLedger, putSecret, type SecretRow, staleSandboxes, updateSandbox,
} from "../../src/ledger/index.ts"; // prettier-ignore
import { applyMigrations } from "../../src/ledger/migrate.ts";
import { MIGRATIONS } from "../../src/ledger/migrations/index.ts";
import { dataDirectory } from "./directory.ts";

const secret = (name: string, patch: Partial<SecretRow> = {}): SecretRow => ({
  tenant: "acme", name, version: 1, value: `sealed-${name}`, hosts: null, created_at: 1, rotated_at: null, last_used_at: null, removed_at: null, ...patch,
}); // prettier-ignore

const sandbox = (id: string, tenant = "acme"): NewSandboxRow => ({
  id, tenant, name: null, profile_name: "p", profile_version: 1, profile_digest: "d", backend: "fake", ref: null, state: "ready", desired: "running", generation: 1,
  owner: null, isolation_min: "container", isolation_effective: null, runtime: null, isolation_notes: "[]", resources: "{}", narrowed: "[]", route: "{}", metadata: "{}",
  created_at: 1, ready_at: 1, last_active_at: 1, expires_at: 9, max_life_at: 9, idle_seconds: null, idle_at: null, ended_at: null, termination_reason: null,
  termination_detail: null, error_code: null, error_message: null, state_lost: 0,
}); // prettier-ignore

const binding = (sandbox_id: string, vault: string | null, delivered: number | null) => ({
  sandbox_id, name: vault ?? "other", vault, local: 0, source: "{}", binding: "{}", delivered,
}); // prettier-ignore

describe("secrets in the ledger", () => {
  it("come with the third migration, to a ledger that has profiles already, which count as nobody's in particular", () => {
    const database = new DatabaseSync(":memory:", { enableForeignKeyConstraints: false });
    try {
      for (const { statements } of MIGRATIONS.slice(0, 2)) for (const statement of statements) database.exec(statement);
      database.exec("pragma application_id = 1396856881; insert into meta values ('schema_version', '2')");
      database.exec(
        "insert into profiles (tenant, name, version, digest, document, created_at) values ('default', 'mine', 1, 'd', '{}', 1)",
      );
      applyMigrations(database);
      expect(database.prepare("select local from profiles").all()).toMatchObject([{ local: 0 }]);
      expect(database.prepare("select count(*) as count from secrets").get()).toMatchObject({ count: 0 });
    } finally {
      database.close();
    }
  });

  it("keep one value a name: after a rotation the row has no other", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    await ledger.transaction((tx) => putSecret(tx, secret("npm")), { durable: true });
    await ledger.transaction((tx) => putSecret(tx, secret("npm", { version: 2, value: "sealed-again" })), { durable: true });
    await ledger.close();
    const database = new DatabaseSync(join(directory.path, "ledger.db"), { readOnly: true });
    try {
      expect(database.prepare("select version, value from secrets").all()).toMatchObject([{ version: 2, value: "sealed-again" }]);
    } finally {
      database.close();
    }
  });

  it("know the live sandboxes that they are bound to, and which of those were told an older version", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    const { db } = ledger;
    await ledger.transaction(async (tx) => {
      for (const id of ["sb1", "sb2", "sb3", "sb4"]) await insertSandbox(tx, sandbox(id), {});
      await insertSandbox(tx, sandbox("sb5", "other"), {});
      await putSecret(tx, secret("npm", { version: 2 }));
      await putSecret(tx, secret("git"));
      await insertSandboxSecrets(tx, [
        binding("sb1", "npm", 1), binding("sb2", "npm", 2), binding("sb2", "git", 1), binding("sb3", null, null), binding("sb4", "npm", 1), binding("sb5", "npm", 1),
      ]); // prettier-ignore
      await updateSandbox(tx, "sb4", { ended_at: 5 });
    });
    expect((await liveBindings(db, "acme")).toSorted((a, b) => `${a.sandbox_id}${a.secret}`.localeCompare(`${b.sandbox_id}${b.secret}`))).toEqual([
      { sandbox_id: "sb1", secret: "npm" }, { sandbox_id: "sb2", secret: "git" }, { sandbox_id: "sb2", secret: "npm" },
    ]); // prettier-ignore
    // sb5's tenant has no secret of that name: it should have been told that it is revoked.
    expect((await staleSandboxes(db, null)).sort()).toEqual(["sb1", "sb5"]);
    await markDelivered(db, "sb1", "npm", 2);
    await markDelivered(db, "sb5", "npm", 0);
    expect(await staleSandboxes(db, null)).toEqual([]);
    await ledger.transaction((tx) => putSecret(tx, secret("git", { value: null, removed_at: 7 })));
    expect(await staleSandboxes(db, null)).toEqual(["sb2"]);
    expect(await staleSandboxes(db, null, "sb1")).toEqual([]);
    await ledger.close();
  });

  it("are found from live sandboxes, however many have ended", async () => {
    using directory = dataDirectory();
    await openLedger(directory.path).close();
    const database = new DatabaseSync(join(directory.path, "ledger.db"), { readOnly: true });
    const plan = (query: string) =>
      database
        .prepare(`explain query plan ${query}`)
        .all()
        .map((row) => String(row["detail"]))
        .join("; ");
    try {
      const bound = plan(
        `select s.id, b.vault from sandboxes s join sandbox_secrets b on b.sandbox_id = s.id
         where s.tenant = 'acme' and s.ended_at is null and b.vault is not null`,
      );
      const stale = plan(
        `select s.id from sandboxes s where s.ended_at is null and exists (
           select b.name from sandbox_secrets b left join secrets v on v.tenant = s.tenant and v.name = b.vault and v.removed_at is null
           where b.sandbox_id = s.id and b.vault is not null and (b.delivered is null or b.delivered <> coalesce(v.version, 0)))`,
      );
      expect(bound).toMatch(/sandboxes_live_tenant/);
      expect(stale).toMatch(/s USING (COVERING )?INDEX sandboxes_live/);
      for (const text of [bound, stale]) expect(text).not.toMatch(/SCAN (b|v|sandbox_secrets|secrets)\b/);
    } finally {
      database.close();
    }
  });
});
