import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { applyMigrations } from "../../src/ledger/migrate.ts";
import { MIGRATIONS } from "../../src/ledger/migrations/index.ts";

test("processes from before there were numbers are counted in their sandbox, in the order they were started", () => {
  const database = new DatabaseSync(":memory:", { enableForeignKeyConstraints: false });
  try {
    for (const statement of MIGRATIONS[0]?.statements ?? []) database.exec(statement);
    database.exec("pragma application_id = 1396856881; insert into meta values ('schema_version', '1')");
    const insert = database.prepare(
      "insert into processes (id, sandbox_id, tenant, command, pty, started_at, output_bytes) values (?, ?, 'acme', '{}', 0, 0, 0)",
    );
    for (const [id, sandbox] of [["pr3", "sb1"], ["pr1", "sb1"], ["pr2", "sb2"], ["pr4", "sb1"]] as const) insert.run(id, sandbox); // prettier-ignore
    applyMigrations(database);
    expect(
      database
        .prepare("select id, number from processes order by id")
        .all()
        .map((row) => ({ ...row })),
    ).toEqual([
      { id: "pr1", number: 1 },
      { id: "pr2", number: 1 },
      { id: "pr3", number: 2 },
      { id: "pr4", number: 3 },
    ]);
  } finally {
    database.close();
  }
});
