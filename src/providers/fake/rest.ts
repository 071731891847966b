import { type Op, type Pause, type Ref, SandboxerError, type Suspend } from "../../contract/index.ts";
import type { FakeSandbox } from "./sandbox.ts";

type Find = (ref: Ref, op: Op) => Promise<FakeSandbox>;

function alive(sandbox: FakeSandbox): FakeSandbox {
  const { id } = sandbox.spec;
  if (sandbox.stopped !== undefined) throw new SandboxerError("wrong_state", `sandbox ${id} has stopped: ${sandbox.stopped}`);
  if (sandbox.suspended) throw new SandboxerError("wrong_state", `sandbox ${id} is suspended`);
  return sandbox;
}

/** Its commands wait at the gate, wherever they wait already. */
export function fakePause(find: Find): Pause {
  return {
    pause: async (ref, op) => alive(await find(ref, op)).gate.close(),
    resume: async (ref, op) => alive(await find(ref, op)).gate.open(),
  };
}

/** Its tree is kept. */
export function fakeSuspend(find: Find): Suspend {
  return {
    suspend: async (ref, op) => (await find(ref, op)).suspend(),
    async wake(ref, op) {
      const sandbox = await find(ref, op);
      sandbox.wake();
      return sandbox.created;
    },
  };
}
