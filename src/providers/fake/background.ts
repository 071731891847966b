import { SandboxerError } from "../../contract/index.ts";
import type { Command, End, ProcessStatus, PtySize } from "../../contract/index.ts";
import { Channel, inputOf } from "./channel.ts";
import { Journal } from "./journal.ts";
import { launch } from "./launch.ts";
import type { FakeSandbox } from "./sandbox.ts";
import { SIGNALS } from "./task.ts";
import type { Job } from "./task.ts";
import { Terminal } from "./terminal.ts";

/** How a background process is set up. */
export interface BackgroundOptions {
  readonly pty?: PtySize;
  readonly stdin: "none" | "pipe";
  readonly maxOutputBytes: number;
}

/** One background process and its journal. It stays after its end until the sandbox goes. */
export class BackgroundProcess {
  readonly journal: Journal;
  readonly #id: string;
  readonly #job: Job;
  readonly #terminal: Terminal | undefined;
  readonly #stdin: Channel | undefined;
  readonly #startedAt = Date.now();
  #endedAt: number | null = null;
  #end: End | null = null;

  /** Throws as {@link launch} does, and nothing runs then. */
  constructor(sandbox: FakeSandbox, command: Command, options: BackgroundOptions) {
    this.#id = command.id;
    this.journal = new Journal(options.maxOutputBytes);
    this.#job = sandbox.newJob();
    this.#stdin = options.pty === undefined && options.stdin === "pipe" ? new Channel() : undefined;
    this.#terminal = options.pty === undefined ? undefined : new Terminal(options.pty, this.journal.output("stdout"), this.#job);
    const streams = {
      stdin: this.#terminal?.input ?? this.#stdin ?? inputOf(),
      stdout: this.#terminal?.output ?? this.journal.output("stdout"),
      stderr: this.#terminal?.output ?? this.journal.output("stderr"),
    };
    const { finished } = launch(sandbox, command, this.#job, streams, this.#terminal);
    finished.then(
      (finish) => this.#finish({ ...finish, truncated: this.journal.truncated }),
      () => this.#finish({ outcome: "unknown", exitCode: null, signal: null, oomKilled: false, truncated: this.journal.truncated }),
    );
  }

  #finish(end: End): void {
    this.#endedAt = Date.now();
    this.#end = end;
    this.#stdin?.close();
    this.journal.finish(end);
  }

  status(): ProcessStatus {
    return {
      id: this.#id,
      running: this.#end === null,
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      end: this.#end,
      outputBytes: this.journal.bytes,
    };
  }

  signal(name: string): void {
    if (!(name in SIGNALS))
      throw new SandboxerError("invalid_request", `there is no signal "${name}"`, {
        issues: [{ path: "signal", message: "unknown signal", nearest: "SIGTERM" }],
      });
    this.#job.kill(name);
  }

  async write(data: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.#end !== null) throw new SandboxerError("wrong_state", `process ${this.#id} has ended`);
    if (this.#terminal !== undefined) return await this.#terminal.type(data);
    if (this.#stdin === undefined || this.#stdin.ended)
      throw new SandboxerError("wrong_state", `process ${this.#id} has no standard input, or it was closed`);
    await this.#stdin.write(data, signal);
  }

  async closeStdin(): Promise<void> {
    if (this.#terminal !== undefined) return await this.#terminal.type(Uint8Array.of(4));
    if (this.#stdin === undefined) throw new SandboxerError("wrong_state", `process ${this.#id} has no standard input`);
    this.#stdin.end();
  }

  resize(size: PtySize): void {
    if (this.#terminal === undefined) throw new SandboxerError("wrong_state", `process ${this.#id} has no terminal`);
    this.#terminal.size = size;
  }
}
