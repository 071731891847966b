import { spawn } from "node:child_process";
import { once } from "node:events";
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { appendEvent, openLedger, readEvents, readMeta, writeMeta } from "../../src/ledger/index.ts";
import type { EventType } from "../../src/contract/index.ts";
import { dataDirectory } from "./directory.ts";

const event = (type: string) => ({ type: type as EventType, at: 1, tenant: "t", sandboxId: null });

/** Runs a script against the ledger in another process, with `ledger` and what it imports in scope. */
function otherProcess(path: string, body: string) {
  const index = new URL("../../src/ledger/index.ts", import.meta.url).href;
  const script = `import { openLedger, appendEvent, readMeta, writeMeta } from ${JSON.stringify(index)};
    const ledger = openLedger(${JSON.stringify(path)});
    ${body}`;
  return spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
}

describe("a transaction", () => {
  it("leaves nothing behind where it throws", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    await expect(
      ledger.transaction(async (tx) => {
        await appendEvent(tx, event("a"));
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await readEvents(ledger.db, { after: 0, limit: 10 })).toEqual([]);
    await ledger.close();
  });

  it("is not interleaved with others of the same process", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    await Promise.all(
      Array.from({ length: 100 }, () =>
        ledger.transaction(async (tx) => {
          const count = Number((await readMeta(tx, "count")) ?? 0);
          await new Promise((resolve) => setImmediate(resolve));
          await writeMeta(tx, "count", String(count + 1));
        }),
      ),
    );
    expect(await readMeta(ledger.db, "count")).toBe("100");
    await ledger.close();
  });

  it("is not interleaved with those of another process", async () => {
    using directory = dataDirectory();
    const count = `for (let i = 0; i < 200; i++) await ledger.transaction(async (tx) => writeMeta(tx, "count", String(Number((await readMeta(tx, "count")) ?? 0) + 1)));
      await ledger.close();`;
    openLedger(directory.path);
    const others = [otherProcess(directory.path, count), otherProcess(directory.path, count)];
    const codes = await Promise.all(others.map((child) => once(child, "exit")));
    expect(codes.map(([code]) => code as number)).toEqual([0, 0]);
    const ledger = openLedger(directory.path);
    expect(await readMeta(ledger.db, "count")).toBe("400");
    await ledger.close();
  });

  it("survives the kill of its process, every one that was acknowledged", async () => {
    using directory = dataDirectory();
    const child = otherProcess(
      directory.path,
      `for (let i = 1; ; i++) { await ledger.transaction((tx) => appendEvent(tx, { type: "n", at: i, tenant: "t", sandboxId: null })); process.stdout.write(i + "\\n"); }`,
    );
    let text = "";
    for await (const chunk of child.stdout) {
      text += String(chunk);
      if (text.split("\n").length > 200) child.kill("SIGKILL");
    }
    const acknowledged = Number(text.trimEnd().split("\n").at(-1));
    const ledger = openLedger(directory.path);
    const [row] = (await sql<{ n: number }>`select max(seq) as n from events`.execute(ledger.db)).rows;
    expect(row?.n).toBeGreaterThanOrEqual(acknowledged);
    await ledger.close();
  });

  it("syncs to the disk where it is durable, and goes back to the faster way", async () => {
    using directory = dataDirectory();
    const ledger = openLedger(directory.path);
    const level = async () => (await sql<{ synchronous: number }>`pragma synchronous`.execute(ledger.db)).rows[0]?.synchronous;
    const inside = await ledger.transaction(
      async (tx) => (await sql<{ synchronous: number }>`pragma synchronous`.execute(tx)).rows[0]?.synchronous,
      { durable: true },
    );
    expect([inside, await level()]).toEqual([2, 1]);
    await expect(ledger.transaction(() => Promise.reject(new Error("no")), { durable: true })).rejects.toThrow("no");
    expect(await level()).toBe(1);
    await ledger.close();
  });
});
