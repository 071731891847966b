import { describe, expect, it } from "vitest";
import { openBench, OWNER, run } from "./bench.ts";

/** Less than max_life: the backend ends a sandbox by its own clock, which nobody sets. */
const JUMP = 6 * 3_600_000;

describe("the four clocks", () => {
  it("end a sandbox at its ttl, and not before", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, { ttl: "10m" }, {});
    bench.clock.pass(599_000);
    expect((await bench.engine.sweep()).ended).toEqual([]);
    bench.clock.pass(1_001);
    expect((await bench.engine.sweep()).ended).toEqual([{ id: sandbox.id, reason: "expired" }]);
    expect(await bench.engine.get(OWNER, sandbox.id)).toMatchObject({
      state: "terminated",
      termination: { reason: "expired", detail: "ttl" },
    });
    expect(bench.control().ids()).toEqual([]);
  });

  it("renew the ttl from now, never shorten it unless told, never pass max_life", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, { ttl: "10m", max_life: "1h" }, {});
    const at = async (request: { ttl: string; shorten?: boolean }) =>
      (Date.parse((await bench.engine.renew(OWNER, sandbox.id, request)).expires_at) - Date.parse(sandbox.created_at)) / 60_000;
    expect(await at({ ttl: "20m" })).toBe(20);
    expect(await at({ ttl: "5m" })).toBe(20);
    expect(await at({ ttl: "5m", shorten: true })).toBe(5);
    expect(await at({ ttl: "9d" })).toBe(60);
  });

  it("end at max_life whatever was renewed", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, { ttl: "10m", max_life: "12m" }, {});
    bench.clock.pass(9 * 60_000);
    await bench.engine.renew(OWNER, sandbox.id, { ttl: "1h" });
    bench.clock.pass(3 * 60_000 + 1);
    await bench.engine.sweep();
    expect((await bench.engine.get(OWNER, sandbox.id)).termination?.reason).toBe("expired");
  });

  it("end what is idle, but not what was used by exec, file or touch, and not while an exec is open", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, { idle: "1m" }, {});
    const stays = async () => {
      expect((await bench.engine.sweep()).ended).toEqual([]);
    };
    bench.clock.pass(50_000);
    await run(bench.engine, OWNER, sandbox.id, "true");
    bench.clock.pass(50_000);
    await stays();
    await bench.engine.files.write(OWNER, sandbox.id, "f", new Blob(["x"]).stream(), {});
    bench.clock.pass(50_000);
    await stays();
    await bench.engine.touch(OWNER, sandbox.id);
    bench.clock.pass(50_000);
    await stays();
    const { events } = await bench.engine.exec(OWNER, sandbox.id, { shell: "sleep 3600", stdin: { kind: "none" }, maxOutputBytes: 1 });
    bench.clock.pass(1_000_000);
    await stays();
    for await (const event of events) if (event.type === "started") break;
    bench.clock.pass(50_000);
    await stays();
    bench.clock.pass(11_000);
    expect((await bench.engine.sweep()).ended).toEqual([{ id: sandbox.id, reason: "idle" }]);
  });

  it.each([JUMP, -JUMP])("are not moved by a wall clock that is set by %d ms", async (jump) => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, { ttl: "10m", idle: "9m" }, {});
    await bench.engine.sweep();
    bench.clock.set(jump);
    const second = await bench.second();
    const later = (await second.create(OWNER, { ttl: "1h" }, {})).sandbox;
    expect([(await bench.engine.sweep()).ended, (await second.sweep()).ended]).toEqual([[], []]);
    expect((await bench.engine.get(OWNER, later.id)).expires_at).toBe(later.expires_at);
    const moved = await bench.engine.get(OWNER, sandbox.id);
    expect(Date.parse(moved.expires_at) - Date.parse(sandbox.expires_at)).toBe(jump);
    bench.clock.pass(8 * 60_000);
    expect((await bench.engine.sweep()).ended).toEqual([]);
    await bench.engine.touch(OWNER, sandbox.id);
    bench.clock.pass(2 * 60_000 + 1);
    expect((await bench.engine.sweep()).ended).toEqual([{ id: sandbox.id, reason: "expired" }]);
  });

  it("agree with a renew at the same moment, a thousand times: what is ready lives, what is terminated is gone", async () => {
    await using bench = await openBench({ config: { limits: { max_sandboxes: 2000 } } });
    const second = await bench.second();
    const made = await Promise.all(Array.from({ length: 1000 }, () => bench.engine.create(OWNER, { ttl: "1m" }, {})));
    bench.clock.pass(60_000);
    const sweeping = second.sweep();
    const renewed = await Promise.allSettled(made.map(({ sandbox }) => bench.engine.renew(OWNER, sandbox.id, { ttl: "10m" })));
    await sweeping;
    const alive = new Set(bench.control().ids());
    let ready = 0;
    for (const [index, { sandbox }] of made.entries()) {
      const now = await bench.engine.get(OWNER, sandbox.id);
      expect(now.state).toBe(alive.has(sandbox.id) ? "ready" : "terminated");
      if (renewed[index]?.status === "fulfilled") {
        expect(now.state).toBe("ready");
        ready++;
      }
    }
    expect(ready).toBe(alive.size);
  });
});
