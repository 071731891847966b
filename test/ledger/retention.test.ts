import { describe, expect, it } from "vitest";
import { appendEvent, closeUsage, type Ledger, openLedger, readEvents, retain } from "../../src/ledger/index.ts";
import { dataDirectory } from "./directory.ts";
import { endedSandbox } from "./rows.ts";

const DAY = 86_400_000;
const never = new AbortController().signal;
const count = async (ledger: Ledger, table: "sandboxes" | "events" | "execs" | "usage" | "sandbox_metadata" | "network_log") =>
  (await ledger.db.selectFrom(table).selectAll().execute()).length;

describe("retention", () => {
  it("forgets what ended before the cutoff with all that belonged to it, adds its usage up exactly, and leaves the rest", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    for (let index = 0; index < 40; index++) await endedSandbox(ledger, `sb${index}`, index * DAY, { execs: index === 3 ? 700 : 2 });
    const usage = await ledger.db.selectFrom("usage").selectAll().where("closed_at", "<", 30 * DAY).execute(); // prettier-ignore
    const expected = usage.reduce((sum, row) => sum + (row.vcpu_seconds ?? 0), 0);
    const done = await retain(ledger, { events: 0, sandboxes: 30 * DAY, networkLog: 0 }, never);
    expect(done).toEqual({ events: 0, sandboxes: 30, network_log: 0 });
    expect([await count(ledger, "sandboxes"), await count(ledger, "usage"), await count(ledger, "execs"), await count(ledger, "sandbox_metadata")]).toEqual([10, 10, 20, 10]); // prettier-ignore
    const summary = await ledger.db.selectFrom("usage_summary").selectAll().execute();
    expect(summary).toHaveLength(30);
    expect(summary.reduce((sum, row) => sum + row.vcpu_seconds, 0)).toBe(expected);
    // Again, with later ones of the same days: nothing is counted twice.
    await endedSandbox(ledger, "late", 29 * DAY + 1, { execs: 1 });
    await retain(ledger, { events: 0, sandboxes: 30 * DAY, networkLog: 0 }, never);
    const stays = (await ledger.db.selectFrom("usage_summary").select("stays").where("day", "=", 29).execute()).map((row) => row.stays);
    expect(stays).toEqual([2]);
    await ledger.close();
  });

  it("touches nothing that lives, that is not paid up, or that the boundary may still hold", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    await endedSandbox(ledger, "live", null, {});
    await endedSandbox(ledger, "owing", DAY, { closed: false });
    await endedSandbox(ledger, "held", DAY, { held: true });
    expect((await retain(ledger, { events: 0, sandboxes: 100 * DAY, networkLog: 0 }, never)).sandboxes).toBe(0);
    expect(await count(ledger, "sandboxes")).toBe(3);
    await ledger.close();
  });

  it("keeps the row and the usage of what is in the books, forgets what belonged to it once, and comes back to what was owed for", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    const cutoffs = { events: 0, sandboxes: 100 * DAY, networkLog: 0 };
    await endedSandbox(ledger, "booked", DAY, { execs: 3, booked: true });
    expect((await retain(ledger, cutoffs, never)).sandboxes).toBe(1);
    expect([await count(ledger, "sandboxes"), await count(ledger, "usage"), await count(ledger, "execs")]).toEqual([1, 1, 0]);
    expect((await retain(ledger, cutoffs, never)).sandboxes).toBe(0);
    await endedSandbox(ledger, "owing", 2 * DAY, { closed: false });
    await endedSandbox(ledger, "later", 3 * DAY, {});
    expect((await retain(ledger, cutoffs, never)).sandboxes).toBe(1);
    await ledger.transaction((tx) => closeUsage(tx, "owing", 2 * DAY));
    expect((await retain(ledger, cutoffs, never)).sandboxes).toBe(1);
    expect(await count(ledger, "sandboxes")).toBe(1);
    await ledger.close();
  });

  it("forgets events from the oldest on, up to the first that is to stay, and never gives a number twice", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    const append = (at: number) => ledger.transaction((tx) => appendEvent(tx, { type: "sandbox.ready", at, tenant: "t", sandboxId: null }));
    for (let index = 0; index < 300; index++) await append(index * DAY);
    expect((await retain(ledger, { events: 250 * DAY, sandboxes: 0, networkLog: 0 }, never)).events).toBe(250);
    const left = await readEvents(ledger.db, { after: 0, limit: 1000 });
    expect([left.length, left[0]?.seq]).toEqual([50, 251]);
    await retain(ledger, { events: 1000 * DAY, sandboxes: 0, networkLog: 0 }, never);
    await append(1);
    expect((await readEvents(ledger.db, { after: 0, limit: 10 })).map(({ seq }) => seq)).toEqual([301]);
    await ledger.close();
  });
});
