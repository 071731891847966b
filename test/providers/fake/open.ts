import { newId } from "../../../src/contract/index.ts";
import type { Command, ExecEvent, Logger, Op, OpenContext, Ref, SandboxSpec, Stdin } from "../../../src/contract/index.ts";
import fake, { FakeControl, FakeOptions, openFake } from "../../../src/providers/fake/index.ts";
import type { FakeProvider } from "../../../src/providers/fake/index.ts";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export const context: OpenContext = { backend: "fake", directory: "/nonexistent", instance: "test", log: silent, failpoint() {} };

export function op(signal: AbortSignal = new AbortController().signal): Op {
  return { signal, log: silent };
}

export function open(options: object = {}): FakeProvider {
  return openFake(FakeOptions.parse(options), context);
}

export function spec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: newId("sandbox"),
    tenant: "default",
    generation: 1,
    image: "host",
    hostname: "box",
    env: {},
    resources: { cpu: 1, memoryBytes: 2 ** 28, diskBytes: 2 ** 28, inodes: 10_000, pids: 64 },
    isolationMin: "process",
    allowPtrace: false,
    maxLifeAt: Date.now() + 3_600_000,
    metadata: {},
    ...changes,
  };
}

/** Runs a shell line to its end and gives all that came. */
export async function run(
  provider: FakeProvider,
  ref: Ref,
  shell: string,
  more: Partial<Command> & { stdin?: Stdin; maxOutputBytes?: number } = {},
) {
  const { stdin = { kind: "none" }, maxOutputBytes = 2 ** 30, ...command } = more;
  const out = { stdout: "", stderr: "", end: undefined as Extract<ExecEvent, { type: "exited" }> | undefined };
  for await (const event of provider.exec(ref, { id: newId("exec"), run: { shell }, ...command }, { stdin, maxOutputBytes }, op())) {
    if (event.type === "stdout" || event.type === "stderr") out[event.type] += Buffer.from(event.data).toString();
    if (event.type === "exited") out.end = event;
  }
  return out;
}

export { FakeControl, fake };
