import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli } from "../../cli/cli.ts";
import { freshDatabase } from "../../support/fresh-database.ts";

test("the ledger is counted, copied, exported and compacted beside a server, and moves to PostgreSQL once that has stopped", { timeout: 120_000 }, async () => {
  const box = cli();
  const server = await box.serve();
  const made = JSON.parse((await box.run(["create", "--json", "--name", "keeps", "--metadata", "team=x"])).stdout) as { id: string };
  expect((await box.run(["exec", made.id, "--", "true"])).code).toBe(0);

  const stats = JSON.parse((await box.run(["ledger", "stats", "--json"])).stdout) as { live: number; tables: { name: string; rows: number }[] };
  expect(stats.live).toBe(1);
  expect(stats.tables).toContainEqual({ name: "sandboxes", rows: 1 });
  expect((await box.run(["ledger", "stats"])).stdout).toMatch(/live\s+1 sandboxes/);

  const copy = join(box.data, "copy.db");
  expect(await box.run(["ledger", "backup", copy])).toMatchObject({ code: 0, stdout: expect.stringContaining("checked") });
  const again = await box.run(["ledger", "backup", copy]);
  expect(again.code).toBe(125);
  expect(again.stderr).toContain("error[");

  const exported = (await box.run(["ledger", "export"])).stdout.trim().split("\n").map((text) => JSON.parse(text) as { table: string });
  expect(exported.filter(({ table }) => table === "sandboxes")).toHaveLength(1);
  expect(JSON.stringify(exported)).not.toMatch(/"hash":"[0-9a-f]{64}/);
  expect((await box.run(["ledger", "compact"])).stdout).toMatch(/^forgot 0 sandboxes/);

  const fleet = JSON.parse((await box.run(["fleet", "ls", "--json"])).stdout) as { instances: { self: boolean; alive: boolean }[] };
  expect(fleet.instances).toEqual([expect.objectContaining({ self: true, alive: true })]);
  expect((await box.run(["fleet", "ls"])).stdout).toMatch(/\(answers\).*alive/);

  const address = await freshDatabase({ bare: true });
  const refused = await box.run(["ledger", "move", "--to", address]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toMatch(/error\[wrong_state\]|error\[conflict\]/);
  await server.stop("SIGTERM");

  // A copy put back as ledger.db is a ledger.
  for (const name of ["ledger.db", "ledger.db-wal", "ledger.db-shm"]) rmSync(join(box.data, name), { force: true });
  copyFileSync(copy, join(box.data, "ledger.db"));
  const moved = await box.run(["ledger", "move", "--to", address, "--json"]);
  expect(moved).toMatchObject({ code: 0 });
  const { tables, kept } = JSON.parse(moved.stdout) as { tables: { table: string; rows: number }[]; kept: string };
  expect(tables).toContainEqual(expect.objectContaining({ table: "sandboxes", rows: 1 }));
  expect(kept).toContain(box.data);

  // Nobody starts on the file by mistake, and the database goes on where it stood.
  const env = { SANDBOXER_LEDGER: address };
  const shown = JSON.parse((await box.run(["ls", "--all", "--json"], { env })).stdout) as { id: string }[] | { sandboxes: { id: string }[] };
  expect(JSON.stringify(shown)).toContain(made.id);
  const counted = JSON.parse((await box.run(["ledger", "stats", "--json"], { env })).stdout) as { storage: string };
  expect(counted.storage).toBe("postgres");
  const twice = await box.run(["ledger", "move", "--to", address]);
  expect(twice.code).toBe(125);
}); // prettier-ignore
