import { describe, expect, it } from "vitest";
import { REST_FAILPOINTS } from "../../src/engine/index.ts";
import { findSandbox, openExecs, updateSandbox } from "../../src/ledger/index.ts";
import { MemoryBoundary } from "../support/memory-boundary.ts";
import { type Bench, type BenchOptions, openBench, OWNER, run, STRANGER, trail } from "./bench.ts";

async function withProfile(bench: Bench, document: object = {}): Promise<string> {
  await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "still", version: 1, ...document });
  return (await bench.engine.create(OWNER, { profile: "still" }, {})).sandbox.id;
}

async function paused(options: BenchOptions = {}, document: object = {}) {
  const bench = await openBench(options);
  const id = await withProfile(bench, document);
  await bench.engine.pause(OWNER, id, {});
  return { bench, id };
}

const usageOf = (bench: Bench, id: string) =>
  bench.ledger.db.selectFrom("usage").selectAll().where("sandbox_id", "=", id).executeTakeFirstOrThrow();

describe("a pause", () => {
  it("is told, can be repeated, and ends with a resume", async () => {
    const { bench, id } = await paused();
    await using _ = bench;
    expect(await bench.engine.pause(OWNER, id, { to: "paused" })).toMatchObject({
      state: "paused", desired: "paused", resting: { because: "user" },
    }); // prettier-ignore
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state: "ready", desired: "running", resting: null, state_lost: false });
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state: "ready" });
    expect((await trail(bench.engine, id)).slice(-2)).toEqual(["sandbox.paused", "sandbox.resumed"]);
    expect((await run(bench.engine, OWNER, id, "echo up")).stdout).toBe("up\n");
  });

  it("has commands, files and ports refused, with the next step", async () => {
    const { bench, id } = await paused();
    await using _ = bench;
    const refused = { code: "wrong_state", details: { hint: expect.stringContaining("sand-boxer resume") as unknown } };
    await expect(run(bench.engine, OWNER, id, "true")).rejects.toMatchObject(refused);
    await expect(bench.engine.files.stat(OWNER, id, ".")).rejects.toMatchObject(refused);
    await expect(bench.engine.ports.connect(OWNER, id, 8000)).rejects.toMatchObject(refused);
    await expect(bench.engine.processes.start(OWNER, id, { argv: ["true"] })).rejects.toMatchObject(refused);
    expect(await bench.engine.usage(OWNER, id)).toMatchObject({ pids: 0 });
    await expect(bench.engine.resume(STRANGER, id)).rejects.toMatchObject({ code: "sandbox_not_found" });
  });

  it("is woken by use where the profile says so, by twenty at once, once", async () => {
    const { bench, id } = await paused({}, { lifetime: { on_use: "resume" } });
    await using _ = bench;
    await Promise.all(Array.from({ length: 20 }, () => run(bench.engine, OWNER, id, "true")));
    expect((await trail(bench.engine, id)).filter((type) => type === "sandbox.resumed")).toHaveLength(1);
    await bench.engine.pause(OWNER, id, { to: "suspended" });
    await bench.engine.files.stat(OWNER, id, ".");
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "ready" });
  });

  it("has no idle clock, and a max_life that ends it", async () => {
    const { bench, id } = await paused({}, { lifetime: { idle: "1m", ttl: "1h", max_life: "2h" } });
    await using _ = bench;
    bench.clock.pass(30 * 60_000);
    expect((await bench.engine.sweep()).ended).toEqual([]);
    await bench.engine.renew(OWNER, id, { ttl: "3h" });
    bench.clock.pass(91 * 60_000);
    expect((await bench.engine.sweep()).ended).toEqual([{ id, reason: "expired" }]);
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "terminated", termination: { detail: "max_life" } });
  });

  it("is refused by name where the backend cannot, also as what a clock does", async () => {
    await using bench = await openBench({ fakes: { fake: { without: ["pause.memory", "pause.disk"] } } });
    const id = await withProfile(bench);
    await expect(bench.engine.pause(OWNER, id, {})).rejects.toMatchObject({ code: "capability_unsupported" });
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "ready", desired: "running" });
    const wanted = bench.engine.create(OWNER, { on_idle: "pause", idle: "1m" }, {});
    await expect(wanted).rejects.toMatchObject({ code: "capability_unsupported", details: { issues: [{ path: "on_idle" }] } });
  });

  it("that the backend does not do leaves it running", async () => {
    await using bench = await openBench();
    const id = await withProfile(bench);
    bench.control().addFault({ on: "rest", kind: "fail", times: 1 });
    await expect(bench.engine.pause(OWNER, id, {})).rejects.toMatchObject({ code: "backend_unavailable" });
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "ready", desired: "running" });
    expect((await findSandbox(bench.ledger.db, id))?.owner).toBeNull();
    // Done, and the answer lost: the sweep lets it run.
    bench.control().addFault({ on: "rest", kind: "ambiguous", times: 1 });
    await expect(bench.engine.pause(OWNER, id, {})).rejects.toMatchObject({ code: "backend_unavailable" });
    expect((await bench.engine.sweep()).errors).toEqual([]);
    expect((await run(bench.engine, OWNER, id, "echo up")).stdout).toBe("up\n");
  });
});

describe("the clocks", () => {
  it("pause what is idle, and not what is used", async () => {
    await using bench = await openBench();
    const id = await withProfile(bench, { lifetime: { idle: "1m", on_idle: "pause" } });
    bench.clock.pass(59_000);
    await bench.engine.touch(OWNER, id);
    bench.clock.pass(59_000);
    await bench.engine.sweep();
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "ready" });
    bench.clock.pass(2000);
    expect((await bench.engine.sweep()).ended).toEqual([]);
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "paused", resting: { because: "idle" } });
  });

  it("pause what expires, which then has its ttl anew after a resume", async () => {
    await using bench = await openBench();
    const id = await withProfile(bench, { lifetime: { ttl: "10m", max_life: "2h", on_expire: "pause" } });
    const { max_life_at } = await bench.engine.get(OWNER, id);
    bench.clock.pass(11 * 60_000);
    await bench.engine.sweep();
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "paused", resting: { because: "expired" }, expires_at: max_life_at });
    const { expires_at } = await bench.engine.resume(OWNER, id);
    expect(Date.parse(expires_at) - bench.clock.now()).toBe(10 * 60_000);
    bench.clock.pass(11 * 60_000);
    await bench.engine.sweep();
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "paused" });
    bench.clock.pass(2 * 3600_000);
    expect((await bench.engine.sweep()).ended).toEqual([{ id, reason: "expired" }]);
  });

  it("take what is paused on to its disk, where that is what expiry does", async () => {
    await using bench = await openBench();
    const id = await withProfile(bench, { lifetime: { ttl: "10m", idle: "1m", on_idle: "pause", on_expire: "suspend" } });
    bench.clock.pass(2 * 60_000);
    await bench.engine.sweep();
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "paused" });
    bench.clock.pass(10 * 60_000);
    expect((await bench.engine.sweep()).errors).toEqual([]);
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "suspended", resting: { because: "expired" } });
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state: "ready", state_lost: false });
  });

  it("end where the narrower says so", async () => {
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "ends", version: 1, lifetime: { on_expire: "terminate" } });
    const { sandbox } = await bench.engine.create(OWNER, { profile: "ends", on_expire: "pause", on_use: "resume" }, {});
    expect(sandbox).toMatchObject({ lifetime: { on_expire: "terminate", on_use: "resume" }, narrowed: ["on_expire"] });
  });
});

describe("a sandbox and its backend that disagree", () => {
  it("are brought together by the sweep, both ways", async () => {
    const { bench, id } = await paused();
    await using _ = bench;
    const other = (await bench.engine.create(OWNER, {}, {})).sandbox.id;
    bench.control().setPaused(id, false);
    bench.control().setPaused(other, true);
    expect(await bench.engine.sweep()).toMatchObject({ ended: [], errors: [] });
    expect((await run(bench.engine, OWNER, other, "echo up")).stdout).toBe("up\n");
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "paused" });
    await bench.engine.resume(OWNER, id);
    await bench.engine.destroy(OWNER, id);
  });

  it.each(["paused", "suspended"] as const)("are brought to where a process that died was taking it: %s, and back", async (to) => {
    await using bench = await openBench();
    const id = await withProfile(bench);
    await updateSandbox(bench.ledger.db, id, { desired: to, owner: "in0000000000000000000000" });
    await bench.engine.sweep();
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: to, desired: to });
    await updateSandbox(bench.ledger.db, id, { desired: "running", owner: "in0000000000000000000000" });
    expect((await bench.engine.sweep()).errors).toEqual([]);
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "ready", state_lost: false });
    expect((await findSandbox(bench.ledger.db, id))?.owner).toBeNull();
  });

  it("a paused one whose backend no longer has it has ended", async () => {
    const { bench, id } = await paused();
    await using _ = bench;
    bench.control().lose(id);
    bench.clock.pass(1000);
    expect((await bench.engine.sweep()).ended).toEqual([{ id, reason: "backend_lost" }]);
  });
});

describe("a suspend", () => {
  it("ends what runs, keeps files and the name, and has the network again after a wake", async () => {
    const boundary = new MemoryBoundary();
    await using bench = await openBench({ boundary });
    const id = await withProfile(bench, { network: { allow: [{ host: "api.example.com" }] } });
    await run(bench.engine, OWNER, id, "echo kept > kept");
    const { events } = await bench.engine.exec(OWNER, id, { shell: "sleep 300", stdin: { kind: "none" }, maxOutputBytes: 10 });
    const process = await bench.engine.processes.start(OWNER, id, { shell: "sleep 300" });
    const ended = (async () => {
      for await (const event of events) if (event.type === "exited") return event.outcome;
      return "no end";
    })();
    expect(await bench.engine.pause(OWNER, id, { to: "suspended" })).toMatchObject({ state: "suspended", generation: 1 });
    expect(await ended).toBe("killed");
    expect(await openExecs(bench.ledger.db)).toEqual([]);
    expect(await bench.engine.processes.get(OWNER, id, process.id)).toMatchObject({ state: "ended" });
    expect((await bench.engine.sweep()).errors).toEqual([]);
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state: "ready", generation: 1, state_lost: false });
    expect((await run(bench.engine, OWNER, id, "cat kept")).stdout).toBe("kept\n");
    expect((await bench.engine.sweep()).errors).toEqual([]);
    expect(await bench.engine.network.get(OWNER, id)).toMatchObject({ state: "attached" });
  });

  it("whose disk is gone is woken as one that has lost its state, and says so from then on", async () => {
    await using bench = await openBench();
    const id = await withProfile(bench);
    await bench.engine.pause(OWNER, id, { to: "suspended" });
    bench.control().loseDisk(id);
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state: "ready", state_lost: true });
    await bench.engine.pause(OWNER, id, { to: "suspended" });
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state_lost: true });
  });

  it("is what becomes of a persistent sandbox that stopped by itself, and of no other", async () => {
    await using bench = await openBench();
    const id = await withProfile(bench, { persistence: "persistent" });
    const other = (await bench.engine.create(OWNER, {}, {})).sandbox.id;
    await run(bench.engine, OWNER, id, "echo kept > kept");
    for (const one of [id, other]) bench.control().stop(one, "unknown");
    expect((await bench.engine.sweep({ adopt: true })).ended).toEqual([{ id: other, reason: "backend_lost" }]);
    expect(await bench.engine.get(OWNER, id)).toMatchObject({ state: "suspended", resting: { because: "stopped" } });
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state: "ready", state_lost: false });
    expect((await run(bench.engine, OWNER, id, "cat kept")).stdout).toBe("kept\n");
    bench.control().stop(id, "unknown");
    bench.control().loseDisk(id);
    await bench.engine.sweep();
    expect(await bench.engine.resume(OWNER, id)).toMatchObject({ state: "ready", state_lost: true });
  });

  it("of a persistent sandbox that expires does not take place", async () => {
    await using bench = await openBench();
    const id = await withProfile(bench, { persistence: "persistent" });
    bench.control().stop(id, "expired");
    expect((await bench.engine.sweep()).ended).toEqual([{ id, reason: "expired" }]);
  });
});

describe("what is metered of a rest", () => {
  it("is no CPU while paused, and no memory either while suspended", async () => {
    await using bench = await openBench();
    await bench.engine.profiles.apply(OWNER, {
      kind: "profile",
      name: "still",
      version: 1,
      resources: { cpu: 1, memory: "100MiB", disk: "10MiB" },
    });
    const { id } = (await bench.engine.create(OWNER, { profile: "still" }, {})).sandbox;
    bench.clock.pass(10_000);
    await bench.engine.pause(OWNER, id, {});
    bench.clock.pass(20_000);
    await bench.engine.pause(OWNER, id, { to: "suspended" });
    bench.clock.pass(40_000);
    await bench.engine.resume(OWNER, id);
    bench.clock.pass(10_000);
    await bench.engine.destroy(OWNER, id);
    expect(await usageOf(bench, id)).toMatchObject({
      vcpu_seconds: 20, mem_mib_seconds: 40 * 100, disk_mib_seconds: 80 * 10, paused_ms: 20_000, suspended_ms: 40_000, rest_kind: null,
    }); // prettier-ignore
  });

  it.each([
    [undefined, 3600],
    ["full", 3600],
    ["memory", 1800 + 900],
    ["free", 1800],
  ] as const)("costs what the price says: paused %s", async (paused, expected) => {
    const price = { vcpu_hour: 0.0018, gb_hour: 0.0018, cpu_basis: "allocated", effective: "2026", source: "test", confidence: "high", ...(paused === undefined ? {} : { paused }) } as const; // prettier-ignore
    await using bench = await openBench({ backends: { fake: { price } } });
    const { id } = (await bench.engine.create(OWNER, { resources: { cpu: 1, memory: "1GiB" } }, {})).sandbox;
    bench.clock.pass(1800_000);
    await bench.engine.pause(OWNER, id, {});
    bench.clock.pass(1800_000);
    expect((await bench.engine.get(OWNER, id)).cost?.so_far_micro_usd).toBe(expected);
    await bench.engine.destroy(OWNER, id);
    expect((await bench.engine.get(OWNER, id)).cost).toMatchObject({ settled: true, so_far_micro_usd: expected });
    expect(await bench.engine.money.audit({ tenant: "default", key_id: null, scopes: ["admin"] })).toMatchObject({ balanced: true });
  });
});

it("the steps of a rest at which a test may kill the process are all passed, in their order", async () => {
  const passed: string[] = [];
  await using bench = await openBench({ engine: { failpoint: (name) => passed.push(name) } });
  const id = await withProfile(bench);
  passed.length = 0;
  await bench.engine.pause(OWNER, id, {});
  await bench.engine.resume(OWNER, id);
  await bench.engine.pause(OWNER, id, { to: "suspended" });
  await bench.engine.resume(OWNER, id);
  expect(passed).toEqual([...REST_FAILPOINTS]);
});
