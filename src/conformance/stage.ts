import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { SandboxerError, newId } from "../contract/index.ts";
import type {
  Command,
  Created,
  End,
  ExecEvent,
  Files,
  Logger,
  Op,
  Processes,
  Provider,
  Ref,
  SandboxSpec,
  Stdin,
} from "../contract/index.ts";
import type { ConformanceOptions } from "./types.ts";

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** What a finished exec gave. */
export interface Result {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly end: End;
}

/** What a case works with: a provider, and sandboxes that are gone when the case is over. */
export class Stage {
  readonly provider: Provider;
  readonly options: ConformanceOptions;
  readonly #created: Ref[] = [];

  constructor(provider: Provider, options: ConformanceOptions) {
    this.provider = provider;
    this.options = options;
  }

  op(signal: AbortSignal = new AbortController().signal): Op {
    return { signal, log: silent };
  }

  spec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
    return {
      id: newId("sandbox"),
      tenant: "conformance",
      generation: 1,
      image: "host",
      hostname: "conformance",
      env: {},
      resources: { cpu: 1, memoryBytes: 512 * 1024 ** 2, diskBytes: 1024 ** 3, inodes: 50_000, pids: 256 },
      isolationMin: "process",
      allowPtrace: false,
      maxLifeAt: Date.now() + 600_000,
      metadata: {},
      ...this.options.spec,
      ...changes,
    };
  }

  async create(changes: Partial<SandboxSpec> = {}): Promise<Created> {
    const created = await this.provider.create(this.spec(changes), this.op());
    this.#created.push(created.ref);
    return created;
  }

  async sandbox(): Promise<Ref> {
    return (await this.create()).ref;
  }

  exec(
    ref: Ref,
    command: Omit<Command, "id">,
    more: { stdin?: Stdin; maxOutputBytes?: number; signal?: AbortSignal } = {},
  ): AsyncIterable<ExecEvent> {
    return this.provider.exec(
      ref,
      { id: newId("exec"), ...command },
      { stdin: more.stdin ?? { kind: "none" }, maxOutputBytes: more.maxOutputBytes ?? 2 ** 30 },
      this.op(more.signal),
    );
  }

  /** Runs to the end and checks the order of events: `started` first, `exited` once and last. */
  async run(
    ref: Ref,
    command: Omit<Command, "id">,
    more: { stdin?: Stdin; maxOutputBytes?: number; signal?: AbortSignal } = {},
  ): Promise<Result> {
    const output: { stdout: Uint8Array[]; stderr: Uint8Array[] } = { stdout: [], stderr: [] };
    let end: End | undefined;
    let first = true;
    for await (const event of this.exec(ref, command, more)) {
      assert.equal(event.type === "started", first, "started comes first, and once");
      assert.equal(end, undefined, "nothing comes after exited");
      first = false;
      if (event.type === "stdout" || event.type === "stderr") output[event.type].push(event.data.slice());
      if (event.type === "exited") end = event;
    }
    assert.ok(end, "an exec ends with exited, or throws");
    return { stdout: Buffer.concat(output.stdout), stderr: Buffer.concat(output.stderr), end };
  }

  /** A shell line that must succeed; its standard output as text. */
  async sh(ref: Ref, shell: string): Promise<string> {
    const { stdout, stderr, end } = await this.run(ref, { run: { shell } });
    assert.equal(end.exitCode, 0, `${shell}: ${stderr.toString()}`);
    return stdout.toString();
  }

  get processes(): Processes {
    assert.ok(this.provider.processes, "a provider that declares exec.background, exec.reattach or exec.pty has the group processes");
    return this.provider.processes;
  }

  get files(): Files {
    assert.ok(this.provider.files, "a provider that declares fs.rw, fs.tree, fs.watch or fs.stream has the group files");
    return this.provider.files;
  }

  /** Seconds for a sleep inside, as text. */
  seconds(amount: number): string {
    return String(amount * (this.options.pace ?? 1));
  }

  wait(seconds: number): Promise<void> {
    return sleep(seconds * 1000 * (this.options.pace ?? 1));
  }

  /** Asks again until it holds; fails after 30 s at pace 1. */
  async eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 30_000 * Math.max(1, this.options.pace ?? 1);
    while (!(await holds())) {
      assert.ok(performance.now() < deadline, `${what}: not within the time`);
      await sleep(20);
    }
  }

  /** The ids of this case's sandboxes that the backend lists. */
  async listed(ids: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for await (const ref of this.provider.list(this.op())) if (ids.includes(ref.id)) found.push(ref.id);
    return found.sort();
  }

  /** Ends what a case made beside `create`. */
  adopt(ref: Ref): void {
    this.#created.push(ref);
  }

  async clean(): Promise<void> {
    for (const ref of this.#created) await this.provider.destroy(ref, this.op());
  }
}

/** Fails unless it rejects with a SandboxerError of one of the codes. */
export async function refuses(codes: readonly string[], what: string, act: () => Promise<unknown>): Promise<void> {
  let thrown: unknown;
  try {
    await act();
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown !== undefined, `${what}: it succeeded, but must be refused as ${codes.join(" or ")}`);
  assert.ok(
    thrown instanceof SandboxerError,
    `${what}: it threw what is no SandboxerError: ${thrown instanceof Error ? thrown.stack : typeof thrown}`,
  );
  assert.ok(codes.includes(thrown.code), `${what}: it was refused as ${thrown.code} (${thrown.message}), not as ${codes.join(" or ")}`);
}

export async function drain(events: AsyncIterable<unknown>): Promise<void> {
  for await (const event of events) void event;
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk.slice());
  return Buffer.concat(all);
}

export async function* bytesOf(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === "string" ? new TextEncoder().encode(part) : part;
}

/** Every byte value once, as printf's octal escapes. */
export const ALL_BYTES: Buffer = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
export const PRINT_ALL_BYTES: string = `printf '${Array.from(ALL_BYTES, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("")}'`;
