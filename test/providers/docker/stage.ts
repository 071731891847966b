import {
  type Command,
  type End,
  newId,
  type Op,
  type Provider,
  type Ref,
  type SandboxSpec,
  type Stdin,
} from "../../../src/contract/index.ts";
import { IMAGE } from "../../support/docker-engine.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export const op = (signal: AbortSignal = new AbortController().signal): Op => ({ signal, log: silent });

export function specOf(over: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: newId("sandbox"), tenant: "acme", generation: 1, image: "host", hostname: "sandbox", env: {},
    resources: { cpu: 1, memoryBytes: 128 * 1024 ** 2, diskBytes: 1024 ** 3, inodes: 100_000, pids: 64 },
    isolationMin: "container", allowPtrace: false, maxLifeAt: Date.now() + 300_000, metadata: {}, ...over,
  }; // prettier-ignore
}

/** What stands beside a sandbox in tests of services' steps. */
export const BESIDE = { services: { beside: { image: IMAGE, command: "sleep 600" } } } as const satisfies Partial<SandboxSpec>;

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly end: End;
}

/** A command to its end. */
export async function say(
  provider: Provider,
  ref: Ref,
  command: string | Omit<Command, "id">,
  stdin: Stdin = { kind: "none" },
): Promise<Said> {
  const said = { stdout: "", stderr: "" };
  const whole: Command = { id: newId("exec"), ...(typeof command === "string" ? { run: { shell: command } } : command) };
  for await (const event of provider.exec(ref, whole, { stdin, maxOutputBytes: 2 ** 26 }, op())) {
    if (event.type === "stdout" || event.type === "stderr") said[event.type] += Buffer.from(event.data).toString();
    if (event.type === "exited") return { ...said, end: event };
  }
  throw new Error("an exec ended without its end");
}

/** Everything that the backend lists. */
export async function listed(provider: Provider): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of provider.list(op())) ids.push(id);
  return ids.sort();
}

/** Asks again until it holds; the test's own time limit ends it. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 100));
}
