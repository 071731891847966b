import { describe, expect, it } from "vitest";
import { openBench, OWNER, STRANGER, trail } from "./bench.ts";

describe("destroying a sandbox", () => {
  it("has one effect and one answer, however many ask in however many processes", async () => {
    await using bench = await openBench({ fakes: { fake: { latency_ms: { destroy: 20 } } } });
    const second = await bench.second();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 4 === 0 ? second : bench.engine).destroy(OWNER, sandbox.id)));
    expect(all.every(({ state, termination }) => state === "terminated" && termination?.reason === "user")).toBe(true);
    expect(await trail(bench.engine, sandbox.id)).toEqual([
      "sandbox.provisioning",
      "sandbox.ready",
      "sandbox.stopping",
      "sandbox.terminated",
    ]);
    expect(bench.control().ids()).toEqual([]);
    expect((await bench.engine.destroy(OWNER, sandbox.id)).ended_at).toBe(all[0]?.ended_at);
  });

  it("is not terminated before the backend confirms it; the sweep goes on with it", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    bench.control().addFault({ on: "destroy", kind: "fail" });
    await expect(bench.engine.destroy(OWNER, sandbox.id)).rejects.toMatchObject({ code: "backend_unavailable" });
    expect(await bench.engine.get(OWNER, sandbox.id)).toMatchObject({ state: "stopping", desired: "terminated", ended_at: null });
    bench.control().clearFaults();
    expect((await bench.engine.sweep()).ended).toEqual([{ id: sandbox.id, reason: "user" }]);
    expect(await bench.engine.get(OWNER, sandbox.id)).toMatchObject({ state: "terminated", termination: { reason: "user" } });
  });

  it.each(["this", "another"])("during its create in %s process ends both, and leaves nothing", async (where) => {
    await using bench = await openBench({ fakes: { fake: { latency_ms: { create: 300 } } } });
    const second = await bench.second();
    const creating = bench.engine.create(OWNER, {}, {}).catch((thrown: unknown) => thrown);
    let id: string | undefined;
    while (id === undefined) id = (await second.list(OWNER, { limit: 1 })).data[0]?.id;
    const destroyed = await (where === "this" ? bench.engine : second).destroy(OWNER, id);
    expect(destroyed).toMatchObject({ state: "terminated", termination: { reason: "user" } });
    expect(await creating).toMatchObject({ code: "canceled" });
    expect(bench.control().ids()).toEqual([]);
    expect((await trail(bench.engine, id)).at(-1)).toBe("sandbox.terminated");
  });

  it("of another tenant's sandbox is a destroy of one that does not exist", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await expect(bench.engine.destroy(STRANGER, sandbox.id)).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect((await bench.engine.get(OWNER, sandbox.id)).state).toBe("ready");
  });
});
