import { describe, expect, it } from "vitest";
import { type Action, ACTIONS, isTerminal, SANDBOX_STATES, type SandboxState, TRANSITIONS } from "../../src/contract/index.ts";
import { move } from "../../src/engine/lifecycle.ts";
import { findSandbox, type SandboxRow, updateSandbox } from "../../src/ledger/index.ts";
import { ADMIN, openBench, OWNER, trail } from "./bench.ts";

const pairs = SANDBOX_STATES.flatMap((state) => ACTIONS.map((action): [SandboxState, Action] => [state, action]));

describe("the one writer of state", () => {
  it.each(pairs)("in %s: %s goes where the table says, or is refused and changes nothing", async (state, action) => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, {}, {});
    await updateSandbox(bench.ledger.db, sandbox.id, { state });
    const before = (await findSandbox(bench.ledger.db, sandbox.id)) as SandboxRow;
    const events = await trail(bench.engine, sandbox.id);
    const target = TRANSITIONS[state][action];
    const moving = bench.ledger.transaction((tx) => move(tx, sandbox.id, action, { at: bench.clock.now() }));
    if (target === undefined) {
      await expect(moving).rejects.toMatchObject({ code: "wrong_state" });
      expect(await findSandbox(bench.ledger.db, sandbox.id)).toEqual(before);
      expect(await trail(bench.engine, sandbox.id)).toEqual(events);
    } else {
      const after = await moving;
      expect(after).toEqual(await findSandbox(bench.ledger.db, sandbox.id));
      expect(after.state).toBe(target);
      expect(after.ended_at !== null).toBe(isTerminal(target));
      const told = (await trail(bench.engine, sandbox.id)).length - events.length;
      expect(told).toBe(action === "use" || (action === "stop" && state === "stopping") ? 0 : 1);
    }
  });

  it("closes usage, execs and processes with the move that ends a sandbox", async () => {
    await using bench = await openBench();
    const { sandbox } = await bench.engine.create(OWNER, { resources: { cpu: 0.5, memory: "64MiB" } }, {});
    bench.clock.pass(2500);
    await bench.engine.destroy(OWNER, sandbox.id);
    const usage = await bench.ledger.db.selectFrom("usage").selectAll().where("sandbox_id", "=", sandbox.id).executeTakeFirstOrThrow();
    expect(usage).toMatchObject({ vcpu_seconds: 2, mem_mib_seconds: 160, disk_mib_seconds: 5120, creates: 1 });
    expect((await bench.engine.events.list(ADMIN, { sandboxId: sandbox.id, limit: 10 })).data.at(-1)).toMatchObject({
      type: "sandbox.terminated",
      data: { reason: "user" },
    });
  });
});
