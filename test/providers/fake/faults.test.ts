import { describe, expect, test } from "vitest";
import type { Ref } from "../../../src/contract/index.ts";
import { FakeControl, fake, open, op, run, spec } from "./open.ts";

async function ids(provider: ReturnType<typeof open>): Promise<string[]> {
  const found: string[] = [];
  for await (const ref of provider.list(op())) found.push(ref.id);
  return found;
}

describe("faults of the fake", () => {
  test.each([
    ["fail", "backend_unavailable"],
    ["rate_limit", "backend_rate_limited"],
    ["auth", "backend_auth"],
  ] as const)("%s at create makes nothing and throws %s, as often as told", async (kind, code) => {
    const provider = open({ faults: [{ on: "create", kind, times: 2, after: 1 }] });
    await provider.create(spec(), op());
    for (let i = 0; i < 2; i++) await expect(provider.create(spec(), op())).rejects.toMatchObject({ code });
    await provider.create(spec(), op());
    expect(await ids(provider)).toHaveLength(2);
  });

  test("an ambiguous create throws, but the sandbox is there to be found", async () => {
    const provider = open({ faults: [{ on: "create", kind: "ambiguous", times: 1 }] });
    const wanted = spec();
    await expect(provider.create(wanted, op())).rejects.toMatchObject({ code: "ambiguous_create" });
    expect(await ids(provider)).toEqual([wanted.id]);
  });

  test("an ambiguous destroy throws, but the sandbox is gone", async () => {
    const provider = open({ faults: [{ on: "destroy", kind: "ambiguous", times: 1 }] });
    const { ref } = await provider.create(spec(), op());
    await expect(provider.destroy(ref, op())).rejects.toMatchObject({ code: "backend_unavailable" });
    expect(await provider.destroy(ref, op())).toBe("absent");
  });

  test("lose makes the sandbox vanish under an exec", async () => {
    const provider = open({ faults: [{ on: "exec", kind: "lose", after: 1 }] });
    const { ref } = await provider.create(spec(), op());
    expect((await run(provider, ref, "echo here")).stdout).toBe("here\n");
    await expect(run(provider, ref, "echo gone")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect(await provider.inspect(ref, op())).toBe("absent");
  });

  test("cut ends an exec's stream without an end to tell", async () => {
    const provider = open({ faults: [{ on: "exec", kind: "cut" }] });
    const { ref } = await provider.create(spec(), op());
    expect(await run(provider, ref, "echo x")).toEqual({ stdout: "", stderr: "", end: undefined });
  });

  test("a failing list throws and never looks empty", async () => {
    const provider = open({ faults: [{ on: "list", kind: "fail" }] });
    await provider.create(spec(), op());
    await expect(ids(provider)).rejects.toMatchObject({ code: "backend_unavailable" });
  });

  test("slow waits until the caller gives up, and then has made nothing", async () => {
    const provider = open({ faults: [{ on: "create", kind: "slow", delay_ms: 3_600_000, times: 1 }] });
    await expect(provider.create(spec(), op(AbortSignal.timeout(20)))).rejects.toMatchObject({ code: "timeout" });
    expect(await ids(provider)).toEqual([]);
  });

  test("a control changes faults and sandboxes while the backend runs", async () => {
    const control = new FakeControl();
    const provider = open({ control });
    const made: Ref[] = [];
    for (let i = 0; i < 3; i++) made.push((await provider.create(spec(), op())).ref);
    const [a, b, c] = made as [Ref, Ref, Ref];
    control.addFault({ on: "exec", kind: "fail" });
    await expect(run(provider, a, "true")).rejects.toMatchObject({ code: "backend_unavailable" });
    control.clearFaults();
    expect((await run(provider, a, "echo again")).stdout).toBe("again\n");
    expect([control.lose(b.id), control.lose(b.id), control.stop(c.id, "oom")]).toEqual([true, false, true]);
    expect(await provider.inspect(b, op())).toBe("absent");
    expect(await provider.inspect(c, op())).toMatchObject({ state: "stopped", stoppedBecause: "oom" });
    expect(control.ids()).toEqual([a.id, c.id]);
  });

  test("a control belongs to one backend", () => {
    const control = new FakeControl();
    open({ control });
    expect(() => open({ control })).toThrow("belongs to another");
  });

  test("two backends know nothing of each other", async () => {
    const [a, b] = [open(), open()];
    const { ref } = await a.create(spec(), op());
    expect(await b.inspect(ref, op())).toBe("absent");
  });

  test("an old generation's handle reaches nothing", async () => {
    const provider = open();
    const { ref } = await provider.create(spec({ generation: 2 }), op());
    await expect(run(provider, { ...ref, generation: 1 }, "true")).rejects.toMatchObject({ code: "sandbox_not_found" });
    expect(await provider.destroy({ ...ref, generation: 1 }, op())).toBe("absent");
  });

  test("capabilities left out are refused by name, and their groups absent", async () => {
    const provider = open({ without: ["exec.timeout", "exec.background", "fs.rw"] });
    const { ref } = await provider.create(spec(), op());
    await expect(run(provider, ref, "true", { timeoutMs: 1 })).rejects.toMatchObject({ code: "capability_unsupported" });
    expect([provider.processes, provider.files, provider.traits.capabilities["fs.rw"]]).toEqual([undefined, undefined, undefined]);
  });

  test("unknown options and faults are refused", () => {
    expect(fake.options.safeParse({ fault: [] }).success).toBe(false);
    expect(fake.options.safeParse({ faults: [{ on: "create", kind: "explode" }] }).success).toBe(false);
  });
});
