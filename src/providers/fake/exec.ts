import { SandboxerError } from "../../contract/index.ts";
import type { Command, ExecEvent, ExecOptions, Op, Stdin } from "../../contract/index.ts";
import { BrokenPipe, Channel, inputOf } from "./channel.ts";
import type { Input } from "./channel.ts";
import { launch } from "./launch.ts";
import { OutputQueue } from "./output-queue.ts";
import type { FakeSandbox } from "./sandbox.ts";
import { Death } from "./task.ts";

/** Runs a command in the foreground. Leaving the iterator, or an abort, kills its whole tree. `cut` breaks the stream after the first event. */
export async function* execIn(
  sandbox: FakeSandbox,
  command: Command,
  options: ExecOptions,
  op: Op,
  cut: boolean,
): AsyncGenerator<ExecEvent> {
  const queue = new OutputQueue();
  const job = sandbox.newJob();
  const stdin = openStdin(options.stdin, op.log);
  const { finished } = launch(
    sandbox,
    command,
    job,
    { stdin: stdin.input, stdout: queue.output("stdout"), stderr: queue.output("stderr") },
    undefined,
  );
  const ended = finished.finally(() => queue.finish());
  // Whoever leaves early does not wait for the end any more; its fault would have nobody to tell.
  ended.catch(() => undefined);
  let failure: unknown;
  let over = false;
  stdin.feed(op.signal).catch((thrown: unknown) => {
    failure = thrown;
    job.kill("SIGKILL");
  });
  try {
    yield { type: "started" };
    if (cut) return;
    let left = options.maxOutputBytes;
    let truncated = false;
    for (let item = await queue.next(op.signal); item !== null; item = await queue.next(op.signal)) {
      const data = item.data.subarray(0, left);
      truncated ||= data.length < item.data.length;
      left -= data.length;
      if (data.length > 0) yield { type: item.type, data };
      else await new Promise(setImmediate);
    }
    const finish = await ended;
    over = true;
    if (failure !== undefined) throw SandboxerError.from(failure, { phase: "exec" });
    if (sandbox.stopped !== undefined)
      throw new SandboxerError("wrong_state", `sandbox ${sandbox.spec.id} stopped while the command ran: ${sandbox.stopped}`, {
        phase: "exec",
      });
    yield { type: "exited", ...finish, truncated };
  } finally {
    queue.finish();
    stdin.stop();
    // What was daemonised by a command that ended by itself lives on; anything else leaves nothing behind.
    if (!over) job.kill("SIGKILL");
  }
}

function openStdin(stdin: Stdin, log: Op["log"]): { input: Input; feed(signal: AbortSignal): Promise<void>; stop(): void } {
  if (stdin.kind !== "pipe")
    return { input: stdin.kind === "bytes" ? inputOf(stdin.bytes) : inputOf(), feed: () => Promise.resolve(), stop: () => undefined };
  const channel = new Channel();
  const iterator = stdin.stream[Symbol.asyncIterator]();
  return {
    input: channel,
    async feed(signal) {
      try {
        for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) await channel.write(next.value, signal);
        channel.end();
      } catch (thrown) {
        // The command may end without reading all it is given.
        if (!(thrown instanceof BrokenPipe || thrown instanceof Death)) throw thrown;
      }
    },
    stop() {
      channel.close();
      iterator
        .return?.()
        .catch((thrown: unknown) => log.debug({ error: String(thrown) }, "the caller's stdin stream failed after the command had ended"));
    },
  };
}
