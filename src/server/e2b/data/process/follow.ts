import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { SandboxerError, type End, type OutputChunk, type ProcessInfo } from "../../../../contract/index.ts";
import { withPulse } from "../pulse.ts";
import type { Session } from "../session.ts";
import { stateOf } from "../state.ts";
import type { Output, ProcessEvent, ProcessService } from "../wire/process.ts";
import { remember } from "./select.ts";

export type Event = Exclude<NonNullable<MessageInitShape<typeof ProcessService.method.start.output>["event"]>, ProcessEvent>;

/** How output is put into events. */
export type Encode = (data: Uint8Array) => Output;

/** The largest piece of output in one event. */
const CHUNK = 32 * 1024;

/**
 * A process's events: its start, its output from `offset` on, signs of life, its end. Stopping to read leaves the
 * process as it is.
 */
export async function* follow(
  session: Session,
  process: ProcessInfo,
  encode: Encode,
  offset: number,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<Event> {
  remember(session, process);
  const { engine, who, id } = session;
  const { turns } = stateOf(session.ctx);
  yield { event: { case: "start", value: { pid: process.number } } };
  const output = await engine.processes.output(who, id, process.id, { offset, follow: true }, signal);
  for await (const item of withPulse(session, output, idleMs, signal)) {
    if (item === undefined) {
      yield { event: { case: "keepalive", value: {} } };
    } else if (item.type === "ended") {
      // A process that was killed may have gone with its sandbox.
      if (item.outcome !== "exited") await session.checkAlive();
      yield { event: { case: "end", value: endEvent(item) } };
      return;
    } else {
      for (const event of dataEvents(item, process.pty, encode)) {
        await turns.next();
        yield event;
      }
    }
  }
  await session.checkAlive();
  throw new SandboxerError("outcome_unknown", `the output of process ${process.number} broke off`);
}

function* dataEvents({ type, data }: Extract<OutputChunk, { data: Uint8Array }>, pty: boolean, encode: Encode): Generator<Event> {
  for (let at = 0; at < data.length; at += CHUNK) {
    const value = encode(data.subarray(at, at + CHUNK));
    yield { event: { case: "data", value: { output: { case: pty ? "pty" : type, value } } } };
  }
}

/** E2B's words for signals: those of Go's runtime. */
const SIGNALS: Readonly<Record<string, string>> = {
  SIGHUP: "hangup", SIGINT: "interrupt", SIGQUIT: "quit", SIGILL: "illegal instruction", SIGTRAP: "trace/breakpoint trap", SIGABRT: "aborted",
  SIGBUS: "bus error", SIGFPE: "floating point exception", SIGKILL: "killed", SIGSEGV: "segmentation fault", SIGPIPE: "broken pipe",
  SIGALRM: "alarm clock", SIGTERM: "terminated",
}; // prettier-ignore

interface EndEvent {
  exitCode: number;
  exited: boolean;
  status: string;
  error?: string;
}

/** @throws ConnectError `deadline_exceeded` where its time was up, `data_loss` where how it ended is not known. */
function endEvent({ outcome, exitCode, signal, truncated }: End): EndEvent {
  if (outcome === "timed_out") throw new ConnectError("the command took longer than its timeout and was killed", Code.DeadlineExceeded);
  if (outcome === "unknown") throw new ConnectError("how the command ended is not known", Code.DataLoss);
  const lost = truncated ? ["output beyond what is kept of one command was dropped"] : [];
  if (outcome === "exited" && exitCode !== null) {
    const status = `exit status ${exitCode}`;
    const errors = [...(exitCode === 0 ? [] : [status]), ...lost];
    return { exitCode, exited: true, status, ...(errors.length === 0 ? {} : { error: errors.join("; ") }) };
  }
  const name = signal ?? "SIGKILL";
  const status = `signal: ${SIGNALS[name] ?? name}`;
  return { exitCode: -1, exited: false, status, error: [status, ...lost].join("; ") };
}
