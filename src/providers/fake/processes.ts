import { SandboxerError } from "../../contract/index.ts";
import type { Op, Processes, Ref } from "../../contract/index.ts";
import { BackgroundProcess } from "./background.ts";
import type { FakeSandbox } from "./sandbox.ts";

/** Meets the faults of a call, then gives the live sandbox of the handle. */
export type Reach = (ref: Ref, op: Op) => Promise<FakeSandbox>;

/** The background processes of fake sandboxes. They die with this process, as everything of this backend. */
export function fakeProcesses(reach: Reach, hasPty: boolean): Processes {
  const find = async (ref: Ref, id: string, op: Op): Promise<BackgroundProcess> => {
    const found = (await reach(ref, op)).processes.get(id);
    if (found === undefined) throw new SandboxerError("process_not_found", `sandbox ${ref.id} has no process ${id}`);
    return found;
  };
  return {
    async start(ref, command, options, op) {
      if (options.pty !== undefined && !hasPty) throw new SandboxerError("capability_unsupported", "this backend has no exec.pty");
      const sandbox = await reach(ref, op);
      if (!sandbox.processes.has(command.id)) sandbox.processes.set(command.id, new BackgroundProcess(sandbox, command, options));
    },
    list: async (ref, op) => Array.from((await reach(ref, op)).processes.values(), (entry) => entry.status()),
    status: async (ref, id, op) => (await reach(ref, op)).processes.get(id)?.status() ?? "absent",
    async *output(ref, id, from, op) {
      const { journal } = await find(ref, id, op);
      yield* journal.read(from, op.signal);
    },
    signal: async (ref, id, signal, op) => (await find(ref, id, op)).signal(signal),
    write: async (ref, id, data, op) => (await find(ref, id, op)).write(data, op.signal),
    closeStdin: async (ref, id, op) => (await find(ref, id, op)).closeStdin(),
    resize: async (ref, id, size, op) => (await find(ref, id, op)).resize(size),
  };
}
