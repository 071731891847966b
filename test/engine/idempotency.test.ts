import { describe, expect, it } from "vitest";
import { openBench, OWNER, STRANGER } from "./bench.ts";

describe("an idempotency key", () => {
  it("gives fifty parallel creates in two processes one sandbox", async () => {
    await using bench = await openBench({ fakes: { fake: { latency_ms: 20 } } });
    const second = await bench.second();
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? bench.engine : second).create(OWNER, { name: "n" }, { idempotencyKey: "k" })),
    );
    expect(new Set(all.map(({ sandbox }) => sandbox.id)).size).toBe(1);
    expect(all.filter(({ replayed }) => !replayed).length).toBe(1);
    expect(all.every(({ sandbox }) => sandbox.state === "ready")).toBe(true);
    expect(bench.control().ids().length).toBe(1);
  });

  it("is refused with another request, and belongs to its tenant alone", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, { idempotencyKey: "k" });
    await expect(bench.engine.create(OWNER, { name: "other" }, { idempotencyKey: "k" })).rejects.toMatchObject({ code: "conflict" });
    expect((await bench.engine.create(STRANGER, { name: "other" }, { idempotencyKey: "k" })).sandbox.id).not.toBe(sandbox.id);
  });

  it("can be used again after a create of which nothing is left", async () => {
    await using bench = await openBench();
    bench.control().addFault({ on: "create", kind: "fail", times: 1 });
    await expect(bench.engine.create(OWNER, {}, { idempotencyKey: "k" })).rejects.toMatchObject({ code: "backend_unavailable" });
    expect((await bench.engine.create(OWNER, {}, { idempotencyKey: "k" })).replayed).toBe(false);
  });

  it("answers with the same error while it is not known what a create left", async () => {
    await using bench = await openBench();
    bench.control().addFault({ on: "create", kind: "ambiguous", times: 1 });
    for (let i = 0; i < 3; i++)
      await expect(bench.engine.create(OWNER, {}, { idempotencyKey: "k" })).rejects.toMatchObject({ code: "ambiguous_create" });
    expect((await bench.engine.list(OWNER, { limit: 10 })).data.length).toBe(1);
  });

  it("still gives its sandbox when that has ended", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, { idempotencyKey: "k" });
    await bench.engine.destroy(OWNER, sandbox.id);
    expect(await bench.engine.create(OWNER, {}, { idempotencyKey: "k" })).toMatchObject({
      replayed: true,
      sandbox: { id: sandbox.id, state: "terminated" },
    });
  });
});
