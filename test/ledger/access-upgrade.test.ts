import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MIGRATIONS } from "../../src/ledger/migrations/index.ts";
import { openBenchIn } from "../engine/bench.ts";
import { dataDirectory } from "./directory.ts";

const SECRET = `sbx_${"a".repeat(40)}`;

test("a key from before there were roles works as it did, and its tenant is one by name", async () => {
  using directory = dataDirectory();
  const database = new DatabaseSync(join(directory.path, "ledger.db"));
  const before = MIGRATIONS.findIndex(({ name }) => name === "0008-access");
  for (const { statements } of MIGRATIONS.slice(0, before)) for (const statement of statements) database.exec(statement);
  database.exec(`pragma application_id = 1396856881; insert into meta values ('schema_version', '${before}')`);
  database
    .prepare("insert into keys (id, hash, name, tenant, scopes, created_at) values ('ky1', ?, 'old', 'acme', '[\"read\",\"write\"]', 5)")
    .run(createHash("sha256").update(SECRET).digest("hex"));
  database.close();
  await using bench = await openBenchIn(directory.path);
  const who = await bench.engine.keys.authenticate(SECRET);
  expect(who).toEqual({ tenant: "acme", key_id: "ky1", scopes: ["read", "write"] });
  if (who === undefined) return;
  expect((await bench.engine.create(who, {}, {})).sandbox).toMatchObject({ tenant: "acme", project: null });
  expect((await bench.engine.profiles.apply(who, { kind: "profile", name: "mine", version: 1 })).created, "as ever").toBe(true);
  const admin = { tenant: "default", key_id: null, scopes: ["read", "write", "admin"] as const };
  expect(await bench.engine.tenants.list(admin)).toMatchObject([{ name: "acme", keys: 1, sandboxes: 1 }]);
});
