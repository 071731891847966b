import { describe, expect, it } from "vitest";
import { findSandbox, insertExec, openExecs, updateSandbox } from "../../src/ledger/index.ts";
import { ADMIN, openBench, OWNER, run, trail } from "./bench.ts";

describe("a sweep", () => {
  it("adopts what lives, and says so", async () => {
    await using bench = await openBench();
    const made = await Promise.all(Array.from({ length: 30 }, () => bench.engine.create(OWNER, {}, {})));
    const second = await bench.second();
    const report = await second.sweep({ adopt: true });
    expect(report.adopted.toSorted()).toEqual(made.map(({ sandbox }) => sandbox.id).toSorted());
    expect(report).toMatchObject({ ended: [], orphans_removed: [], lost: [], errors: [] });
    expect((await run(second, OWNER, made[0]?.sandbox.id ?? "", "echo yes")).stdout).toBe("yes\n");
  });

  it("removes an object that no row stands for", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await bench.ledger.db.deleteFrom("stays").execute();
    await bench.ledger.db.deleteFrom("usage").execute();
    await bench.ledger.db.deleteFrom("sandboxes").execute();
    expect((await bench.engine.sweep()).orphans_removed).toEqual([{ id: sandbox.id, backend: "fake" }]);
    expect(bench.control().ids()).toEqual([]);
    expect(await bench.engine.events.list(ADMIN, { limit: 50 })).toMatchObject({
      data: expect.arrayContaining([expect.objectContaining({ type: "orphan.removed" })]) as unknown,
    });
  });

  it("removes an object whose sandbox has ended", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await updateSandbox(bench.ledger.db, sandbox.id, { state: "terminated", ended_at: 1 });
    expect((await bench.engine.sweep()).orphans_removed).toEqual([{ id: sandbox.id, backend: "fake" }]);
    expect(bench.control().ids()).toEqual([]);
  });

  it.each([
    ["oom", "oom"],
    ["expired", "expired"],
    ["exited", "error"],
    ["unknown", "backend_lost"],
  ] as const)("ends a sandbox that stopped by %s with the reason %s", async (because, reason) => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    bench.control().stop(sandbox.id, because);
    expect((await bench.engine.sweep()).ended).toEqual([{ id: sandbox.id, reason }]);
    expect(await bench.engine.get(OWNER, sandbox.id)).toMatchObject({ state: "terminated", termination: { reason } });
    expect(bench.control().ids()).toEqual([]);
  });

  it("ends a sandbox that the backend no longer has as backend_lost", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    bench.control().lose(sandbox.id);
    bench.clock.pass(1000);
    expect((await bench.engine.sweep()).ended).toEqual([{ id: sandbox.id, reason: "backend_lost" }]);
  });

  it("concludes nothing from a list that fails", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    bench.control().addFault({ on: "list", kind: "auth" });
    const report = await bench.engine.sweep({ adopt: true });
    expect(report).toMatchObject({ adopted: [], ended: [], orphans_removed: [], errors: [{ backend: "fake", code: "backend_auth" }] });
    expect((await bench.engine.get(OWNER, sandbox.id)).state).toBe("ready");
    expect(await bench.engine.health()).toMatchObject({ status: "degraded", checks: { "backend:fake": { ok: false } } });
  });

  it("marks as lost what is neither listed nor answered for, and takes it back when it answers again", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const backend = bench.backends[0];
    const provider = backend?.provider;
    if (backend === undefined || provider === null || provider === undefined) throw new Error("no backend");
    bench.clock.pass(1000);
    bench.control().addFault({ on: "inspect", kind: "fail" });
    backend.provider = Object.assign(Object.create(provider) as typeof provider, { async *list() {} });
    expect((await bench.engine.sweep()).lost).toEqual([sandbox.id]);
    expect((await bench.engine.get(OWNER, sandbox.id)).state).toBe("lost");
    backend.provider = provider;
    bench.control().clearFaults();
    await bench.engine.sweep();
    expect((await bench.engine.get(OWNER, sandbox.id)).state).toBe("ready");
    expect(await trail(bench.engine, sandbox.id)).toEqual(["sandbox.provisioning", "sandbox.ready", "sandbox.lost", "sandbox.recovered"]);
  });

  it("settles what a dead process was in the middle of, and leaves a living one's work alone", async () => {
    await using bench = await openBench();
    const half = (await bench.engine.create(OWNER, {}, {})).sandbox.id;
    const busy = (await bench.engine.create(OWNER, {}, {})).sandbox.id;
    const used = (await bench.engine.create(OWNER, {}, {})).sandbox.id;
    const living = await bench.second({ instance: "in-living" });
    await updateSandbox(bench.ledger.db, half, { state: "provisioning", ref: null, ready_at: null, owner: "in-dead" });
    await updateSandbox(bench.ledger.db, busy, { state: "provisioning", ref: null, ready_at: null, owner: "in-living" });
    await insertExec(bench.ledger.db, { id: "ex-dead", sandboxId: used, tenant: "acme", owner: "in-dead", at: 1 });
    await insertExec(bench.ledger.db, { id: "ex-living", sandboxId: used, tenant: "acme", owner: "in-living", at: 1 });
    const report = await bench.engine.sweep();
    expect(report.errors).toEqual([]);
    expect(report.ended).toEqual([{ id: half, reason: "canceled" }]);
    expect((await bench.engine.get(OWNER, half)).state).toBe("failed");
    expect((await findSandbox(bench.ledger.db, busy))?.state).toBe("provisioning");
    expect((await openExecs(bench.ledger.db)).map(({ id }) => id)).toEqual(["ex-living"]);
    expect(bench.control().ids().toSorted()).toEqual([busy, used].toSorted());
    await living.close();
    expect((await bench.engine.sweep()).ended).toEqual([{ id: busy, reason: "canceled" }]);
    expect(await openExecs(bench.ledger.db)).toEqual([]);
  });

  it("hurts nothing that two processes make, use and end meanwhile", async () => {
    await using bench = await openBench({ fakes: { fake: { latency_ms: 3 } } });
    const second = await bench.second();
    const done = new AbortController();
    const sweeping = (async () => {
      while (!done.signal.aborted)
        for (const engine of [bench.engine, second])
          expect(await engine.sweep()).toMatchObject({ ended: [], orphans_removed: [], lost: [], errors: [] });
    })();
    const work = async (i: number) => {
      const [a, b] = i % 2 === 0 ? [bench.engine, second] : [second, bench.engine];
      const { sandbox } = await a.create(OWNER, {}, {});
      expect((await run(b, OWNER, sandbox.id, "echo x")).stdout).toBe("x\n");
      expect((await b.destroy(OWNER, sandbox.id)).state).toBe("terminated");
    };
    for (let round = 0; round < 8; round++) await Promise.all(Array.from({ length: 8 }, (_, i) => work(i)));
    done.abort();
    await sweeping;
    expect(bench.control().ids()).toEqual([]);
  });
});
