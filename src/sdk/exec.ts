import { SandboxerError } from "../contract/errors.ts";
import type { ExecStreamEvent } from "../contract/exec.ts";
import { concat, fromBase64 } from "./bytes.ts";
import { commandFields, settleStdin, type CommandLine, type CommandOptions, type StdinStream } from "./command.ts";
import { failureIn, outcomeUnknown } from "./failure.ts";
import { endingOf, ExecResult, type Ending } from "./result.ts";
import { serverEvents } from "./sse.ts";
import { query, type Transport } from "./transport.ts";

export interface ExecOptions extends CommandOptions {
  /**
   * Text, bytes, or a stream of them; then end of file. /dev/null unless given. Some runtimes' `fetch` (Node's) sends a
   * streamed request with its first bytes, so the command starts then; for a dialogue, `spawn` and `attach`.
   */
  stdin?: string | Uint8Array | StdinStream;
  /** Cap over stdout and stderr; beyond it output is dropped, `truncated` is set and the command goes on. 64 MiB awaited, 1 GiB iterated. */
  maxOutputBytes?: number;
  /** Called with each piece of standard output as it comes. */
  onStdout?: (data: Uint8Array) => void;
  onStderr?: (data: Uint8Array) => void;
  /** Aborting ends the command's whole process tree. */
  signal?: AbortSignal;
}

/** What iterating an exec yields; the last is `exited`. */
export type ExecEvent =
  | { readonly type: "started"; readonly execId: string }
  | { readonly type: "stdout" | "stderr"; readonly data: Uint8Array }
  | ({ readonly type: "exited"; readonly durationMs: number } & Ending);

const KEPT_BYTES = 64 * 1024 * 1024;

/**
 * A running command. Await it for the result, or iterate it for the events as they come. The request is sent once,
 * when this is made; leaving the iteration early, `kill`, or an aborted signal ends the command's process tree. After
 * iterating, awaiting gives the ending (the output is not kept twice). Never sent again after a failure: a stream that
 * breaks is an error that says the outcome is unknown.
 */
export class Execution implements PromiseLike<ExecResult>, AsyncIterable<ExecEvent> {
  readonly #events: AsyncGenerator<ExecEvent, void, undefined>;
  readonly #options: ExecOptions;
  readonly #stop = new AbortController();
  #iterated = false;
  #result: Promise<ExecResult> | undefined;
  readonly #settled = deferred<ExecResult>();

  constructor(transport: Transport, sandboxId: string, command: CommandLine, options: ExecOptions = {}) {
    this.#options = options;
    // Whoever iterates meets the failure there; awaiting afterwards repeats it.
    this.#settled.promise.catch(() => undefined);
    const signal = options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
    // A failure waits for whoever awaits or iterates; until then it is not unhandled.
    const answer = open(transport, sandboxId, command, options, signal);
    answer.catch(() => undefined);
    this.#events = this.#read(answer);
  }

  /** Ends the command's process tree by giving the request up. */
  kill(): void {
    this.#stop.abort();
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent> {
    if (this.#iterated || this.#result !== undefined)
      throw new SandboxerError("wrong_state", "an exec can be iterated once, and not after it was awaited");
    this.#iterated = true;
    return this.#events;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- being awaitable is what this class is for
  then<A = ExecResult, B = never>(
    onFulfilled?: ((result: ExecResult) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#result ??= this.#iterated ? this.#settled.promise : this.#collect();
    return this.#result.then(onFulfilled, onRejected);
  }

  async *#read(answer: Promise<ReadableStream<Uint8Array>>): AsyncGenerator<ExecEvent, void, undefined> {
    let execId = "";
    try {
      for await (const message of serverEvents(await answer)) {
        const event = JSON.parse(message.data) as ExecStreamEvent;
        if (event.type === "error") throw failureIn(event.error);
        if (event.type === "started") {
          execId = event.exec_id;
          yield { type: "started", execId };
        } else if (event.type === "exited") {
          const ending = endingOf(event);
          this.#settled.resolve(new ExecResult(execId, ending, event.duration_ms, undefined));
          yield { type: "exited", durationMs: event.duration_ms, ...ending };
          return;
        } else {
          const data = fromBase64(event.data);
          (event.type === "stdout" ? this.#options.onStdout : this.#options.onStderr)?.(data);
          yield { type: event.type, data };
        }
      }
      throw outcomeUnknown("the exec");
    } catch (thrown) {
      const error = this.#failure(thrown);
      this.#settled.reject(error);
      throw error;
    } finally {
      this.#settled.reject(new SandboxerError("canceled", "the iteration was left before the command ended, which killed it"));
      this.#stop.abort();
    }
  }

  #failure(thrown: unknown): SandboxerError {
    if (thrown instanceof SandboxerError) return thrown;
    if (this.#stop.signal.aborted || this.#options.signal?.aborted === true)
      return new SandboxerError("canceled", "the command was killed: the caller gave it up", { cause: thrown });
    return outcomeUnknown("the exec", thrown);
  }

  async #collect(): Promise<ExecResult> {
    const kept = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const { maxOutputBytes: room = KEPT_BYTES } = this.#options;
    let size = 0;
    let dropped = false;
    for await (const event of this.#events) {
      if (event.type !== "stdout" && event.type !== "stderr") continue;
      const data = event.data.subarray(0, room - size);
      dropped ||= data.length < event.data.length;
      size += data.length;
      if (data.length > 0) kept[event.type].push(data);
    }
    const ended = await this.#settled.promise;
    const { outcome, exitCode, signal, oomKilled, truncated } = ended;
    const ending = { outcome, exitCode, signal, oomKilled, truncated: truncated || dropped };
    return new ExecResult(ended.execId, ending, ended.durationMs, { stdout: concat(kept.stdout), stderr: concat(kept.stderr) });
  }
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (reason: SandboxerError) => void } {
  let resolve!: (value: T) => void;
  let reject!: (reason: SandboxerError) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

async function open(
  transport: Transport,
  sandboxId: string,
  command: CommandLine,
  options: ExecOptions,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const path = `/v1/sandboxes/${encodeURIComponent(sandboxId)}/exec`;
  const request = {
    ...commandFields(command, options),
    ...(options.maxOutputBytes === undefined ? {} : { max_output_bytes: options.maxOutputBytes }),
  };
  const stdin = settleStdin(options.stdin);
  const common = { method: "POST", accept: "text/event-stream", signal } as const;
  const { body } =
    stdin !== undefined && "body" in stdin
      ? await transport.stream({ ...common, path: path + query({ command: JSON.stringify(request) }), body: stdin.body, unbounded: true })
      : await transport.stream({ ...common, path, json: stdin === undefined ? request : { ...request, stdin: stdin.inline } });
  return body;
}
