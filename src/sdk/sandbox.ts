import type { CreateRequest, RenewRequest, Usage } from "../contract/api.ts";
import type { ProcessInfo, PtySize } from "../contract/exec.ts";
import type { Sandbox as SandboxInfo } from "../contract/sandbox.ts";
import { commandFields, type CommandLine, type CommandOptions } from "./command.ts";
import { Execution, type ExecOptions } from "./exec.ts";
import { Files } from "./files.ts";
import { Network } from "./network.ts";
import { Ports } from "./ports.ts";
import { Process } from "./process.ts";
import { Services } from "./services.ts";
import type { Transport } from "./transport.ts";

export type { SandboxInfo };

/** What to make, and how to ask for it. */
export type CreateOptions = CreateRequest & {
  /** The same key gives the same sandbox back. One is made unless given, so that a retry never makes two. */
  idempotencyKey?: string;
  signal?: AbortSignal;
};

export interface SpawnOptions extends CommandOptions {
  /** Give it a terminal of this size; stdout and stderr are then one. */
  pty?: PtySize;
  /** "pipe" keeps standard input open for `write`; "none" is /dev/null. "pipe" with a pty, else "none". */
  stdin?: "none" | "pipe";
  /** Cap of its journal; 64 MiB unless given. */
  maxOutputBytes?: number;
}

/** A handle to one sandbox. `await using` destroys it at the end of the block, also one that a `scope_key` has found. */
export class Sandbox {
  readonly id: string;
  readonly files: Files;
  readonly network: Network;
  readonly ports: Ports;
  readonly services: Services;
  readonly processes: { list: () => Promise<Process[]>; get: (processId: string) => Promise<Process> };
  readonly #transport: Transport;
  readonly #path: string;
  #info: SandboxInfo;

  constructor(transport: Transport, info: SandboxInfo) {
    this.#transport = transport;
    this.#info = info;
    this.id = info.id;
    this.#path = `/v1/sandboxes/${encodeURIComponent(info.id)}`;
    this.files = new Files(transport, info.id);
    this.network = new Network(transport, info.id);
    this.ports = new Ports(transport, info.id);
    this.services = new Services(transport, info.id);
    this.processes = {
      list: async () => {
        const { data } = await transport.json<{ data: ProcessInfo[] }>({ method: "GET", path: `${this.#path}/processes` });
        return data.map((process) => new Process(transport, process));
      },
      get: async (processId) =>
        new Process(
          transport,
          await transport.json<ProcessInfo>({ method: "GET", path: `${this.#path}/processes/${encodeURIComponent(processId)}` }),
        ),
    };
  }

  /** As it was when last asked; `refresh` asks again. */
  get info(): SandboxInfo {
    return this.#info;
  }

  async refresh(): Promise<SandboxInfo> {
    return this.#take({ method: "GET", path: this.#path });
  }

  /** Runs a command: a string for the shell, or an array of program and arguments. Await it, or iterate it live. */
  exec(command: CommandLine, options: ExecOptions = {}): Execution {
    return new Execution(this.#transport, this.id, command, options);
  }

  /** Starts a background process. It has its own journal, and outlives this connection. */
  async spawn(command: CommandLine, options: SpawnOptions = {}): Promise<Process> {
    const { pty, stdin = pty === undefined ? "none" : "pipe", maxOutputBytes } = options;
    const json = {
      ...commandFields(command, options),
      stdin,
      ...(pty === undefined ? {} : { pty }),
      ...(maxOutputBytes === undefined ? {} : { max_output_bytes: maxOutputBytes }),
    };
    return new Process(this.#transport, await this.#transport.json<ProcessInfo>({ method: "POST", path: `${this.#path}/processes`, json }));
  }

  /** Starts a shell (bash where the sandbox has it, else sh) or `command` on a terminal of the given size. Attach to it to type and see. */
  async pty(size: PtySize, options: CommandOptions & { command?: CommandLine } = {}): Promise<Process> {
    const { command = (await this.exec(["bash", "-c", "exit 0"])).ok ? ["bash"] : ["sh"], env = {}, ...rest } = options;
    return this.spawn(command, { ...rest, env: { TERM: "xterm-256color", ...env }, pty: size });
  }

  /** Moves the ttl clock: seconds from now, or "30m". Never shortens unless `shorten` is true, never passes max_life. */
  async renew(ttl: RenewRequest["ttl"], options: { shorten?: boolean } = {}): Promise<SandboxInfo> {
    return this.#take({ method: "POST", path: `${this.#path}/renew`, json: { ttl, ...options } });
  }

  /** Counts as use for the idle clock. */
  async touch(): Promise<SandboxInfo> {
    return this.#take({ method: "POST", path: `${this.#path}/touch` });
  }

  /** Has it stand still, with its memory and its processes. Safe to repeat. */
  async pause(): Promise<SandboxInfo> {
    return this.#take({ method: "POST", path: `${this.#path}/pause`, json: { to: "paused" } });
  }

  /** Ends its processes and lets go of its memory; its disk is kept. Safe to repeat. */
  async suspend(): Promise<SandboxInfo> {
    return this.#take({ method: "POST", path: `${this.#path}/pause`, json: { to: "suspended" } });
  }

  /** Has it run again, paused or suspended; `info.state_lost` says where its state is not the one of before. Safe to repeat. */
  async resume(): Promise<SandboxInfo> {
    return this.#take({ method: "POST", path: `${this.#path}/resume` });
  }

  /** What it uses now. */
  async usage(): Promise<Usage> {
    return this.#transport.json<Usage>({ method: "GET", path: `${this.#path}/usage` });
  }

  /** Ends it. Resolves when the backend has confirmed that nothing is left. Safe to repeat. */
  async destroy(options: { signal?: AbortSignal } = {}): Promise<SandboxInfo> {
    return this.#take({ method: "DELETE", path: this.#path, signal: options.signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.destroy();
  }

  async #take(call: Parameters<Transport["json"]>[0]): Promise<SandboxInfo> {
    this.#info = await this.#transport.json<SandboxInfo>(call);
    return this.#info;
  }
}
