import { newId, type Command, type End, type Provider, type Ref, type SandboxSpec, type Stdin } from "../../../src/contract/index.ts";
import { op } from "./scratch.ts";

const MiB = 1024 ** 2;

/** Small limits, so that what reaches them does so soon. */
export const RESOURCES: SandboxSpec["resources"] = { cpu: 1, memoryBytes: 256 * MiB, diskBytes: 64 * MiB, inodes: 2000, pids: 64 };

export function specOf(changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: newId("sandbox"),
    tenant: "test",
    generation: 1,
    image: "host",
    hostname: "inside",
    env: {},
    resources: RESOURCES,
    isolationMin: "process",
    allowPtrace: false,
    maxLifeAt: Date.now() + 600_000,
    metadata: {},
    ...changes,
  };
}

export async function sandbox(provider: Provider, changes: Partial<SandboxSpec> = {}): Promise<Ref> {
  return (await provider.create(specOf(changes), op())).ref;
}

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly end: End;
}

/** Runs a command to its end. */
export async function say(
  provider: Provider,
  ref: Ref,
  command: string | Omit<Command, "id">,
  { stdin = { kind: "none" }, maxOutputBytes = 2 ** 26 }: { stdin?: Stdin; maxOutputBytes?: number } = {},
): Promise<Said> {
  const said = { stdout: "", stderr: "" };
  const whole: Command = { id: newId("exec"), ...(typeof command === "string" ? { run: { shell: command } } : command) };
  for await (const event of provider.exec(ref, whole, { stdin, maxOutputBytes }, op())) {
    if (event.type === "stdout" || event.type === "stderr") said[event.type] += Buffer.from(event.data).toString();
    if (event.type === "exited") return { ...said, end: event };
  }
  throw new Error("an exec ended without its end");
}

/** Asks again until it holds; the test's own time limit ends it. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
