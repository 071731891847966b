import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { expect, it, onTestFinished } from "vitest";
import type { AuditAnchor } from "../../../src/contract/index.ts";
import { openSealer } from "../../../src/guard/index.ts";
import { ADMIN, type Bench, openBench, OWNER } from "../bench.ts";

/** A log of some length, written by the verbs themselves. */
async function written(config = {}): Promise<Bench> {
  let directory = "";
  const bench = await openBench({ config, engine: { sealer: () => openSealer(directory, {}) } });
  directory = bench.directory;
  onTestFinished(() => bench[Symbol.asyncDispose]());
  for (let i = 0; i < 4; i++) await bench.engine.keys.create(ADMIN, { name: `key ${i}`, tenant: "acme" });
  await bench.engine.secrets.set(ADMIN, "token", { value: "hunter2-hunter2" });
  await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "mine", version: 1 });
  return bench;
}

const verify = (bench: Bench, anchors: AuditAnchor[] = []) => bench.engine.audit.verify(ADMIN, { anchors });
const change = (bench: Bench, statement: string) => sql.raw(statement).execute(bench.ledger.db);

it("has who did what, where from, in the order it was done, and no secret", async () => {
  const bench = await written();
  const who = { ...ADMIN, key_id: "ky1", origin: { address: "192.0.2.7", request_id: "rq1" } };
  await bench.engine.keys.create(who, { name: "far" });
  const { data } = await bench.engine.audit.list(ADMIN, { limit: 100 });
  expect(data.map(({ action }) => action)).toEqual([
    ...Array<string>(4).fill("key.created"),
    "secret.set",
    "profile.applied",
    "key.created",
  ]);
  expect(data.map(({ actor }) => actor)).toEqual([...Array<string>(5).fill("local"), "system", "ky1"]);
  expect(data.at(-1)).toMatchObject({ origin: { address: "192.0.2.7", request_id: "rq1" }, detail: { name: "far" }, result: "ok" });
  expect(JSON.stringify(data)).not.toContain("hunter2");
  expect(await verify(bench)).toMatchObject({ ok: true, entries: 7, problem: null });
  await expect(bench.engine.audit.list(OWNER, { limit: 1 })).rejects.toMatchObject({ code: "forbidden" });
});

it("has nothing of an act that was not done", async () => {
  const bench = await written();
  await expect(bench.engine.secrets.set(ADMIN, "token", { value: "another-value" })).rejects.toMatchObject({ code: "conflict" });
  expect((await bench.engine.audit.list(ADMIN, { limit: 100 })).data).toHaveLength(6);
});

it.each([
  ["a changed field", "update audit_log set actor = 'nobody' where seq = 3", "changed", 3],
  ["a changed detail", `update audit_log set detail = '{}' where seq = 2`, "changed", 2],
  ["a removed entry", "delete from audit_log where seq = 3", "missing", 3],
  ["a removed beginning", "delete from audit_log where seq = 1", "missing", 1],
  [
    "two that changed places",
    "update audit_log set seq = case seq when 2 then -3 when 3 then -2 end where seq in (2, 3); update audit_log set seq = -seq where seq < 0",
    "changed",
    2,
  ],
  ["a cut-off end", "delete from audit_log where seq > 4", "truncated", 5],
] as const)("finds %s", async (_what, statements, kind, seq) => {
  const bench = await written();
  for (const statement of statements.split("; ")) await change(bench, statement);
  expect(await verify(bench)).toMatchObject({ ok: false, problem: { kind, seq } });
});

it("finds an entry that was written anew with a hash that fits it", async () => {
  const bench = await written();
  const { auditHash } = await import("../../../src/engine/audit.ts");
  const row = await bench.ledger.db.selectFrom("audit_log").selectAll().where("seq", "=", 3).executeTakeFirstOrThrow();
  const forged = { ...row, actor: "nobody" };
  await bench.ledger.db
    .updateTable("audit_log")
    .set({ actor: "nobody", hash: auditHash(forged) })
    .where("seq", "=", 3)
    .execute();
  expect(await verify(bench)).toMatchObject({ ok: false, problem: { kind: "order", seq: 4 } });
});

it("finds by an anchor kept elsewhere that the whole ledger was cut short, with all that it says of itself", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-anchor-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "anchors");
  const bench = await written({ audit: { anchor_file: file } });
  await bench.engine.sweep();
  await bench.engine.sweep();
  const anchors = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((text) => JSON.parse(text) as AuditAnchor);
  expect(anchors).toMatchObject([{ seq: 6 }]);
  expect((await bench.engine.events.list(ADMIN, { types: ["audit.anchored"], limit: 10 })).data).toMatchObject([
    { data: { seq: 6, hash: anchors[0]?.hash } },
  ]);
  await change(bench, "delete from audit_log where seq > 4");
  await change(bench, "delete from meta where key in ('audit_head', 'audit_anchor')");
  expect(await verify(bench)).toMatchObject({ ok: true, entries: 4 });
  expect(await verify(bench, anchors)).toMatchObject({ ok: false, problem: { kind: "truncated" } });
  for (let i = 0; i < 3; i++) await bench.engine.keys.create(ADMIN, { name: "anew" });
  expect(await verify(bench, anchors)).toMatchObject({ ok: false, problem: { kind: "anchor", seq: 6 } });
});

it("stays one chain when two engines append to it at the same time", async () => {
  const bench = await written();
  const second = await bench.second();
  await Promise.all(
    [bench.engine, second].flatMap((engine) => Array.from({ length: 20 }, (_, i) => engine.keys.create(ADMIN, { name: `k${i}` }))),
  );
  expect(await verify(bench)).toMatchObject({ ok: true, entries: 46 });
});

it("writes refusals down, bounded for each who asks, and says how many it left out", async () => {
  const bench = await written();
  const denied = () =>
    bench.engine.audit.denied(
      { tenant: "acme", key_id: "ky2", scopes: ["read"] },
      { action: "createKey", target: null, code: "forbidden" },
    );
  for (let i = 0; i < 40; i++) await denied();
  expect((await bench.engine.audit.list(ADMIN, { result: "denied", limit: 100 })).data).toHaveLength(30);
  bench.clock.pass(61_000);
  await denied();
  expect((await bench.engine.audit.list(ADMIN, { result: "denied", limit: 100 })).data.at(-1)?.detail).toEqual({
    code: "forbidden",
    untold_before: 10,
  });
});
