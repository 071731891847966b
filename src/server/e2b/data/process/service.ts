import type { ServiceImpl } from "@connectrpc/connect";
import { SandboxerError, type ProcessInfo } from "../../../../contract/index.ts";
import { keepaliveMs } from "../pulse.ts";
import { streaming, unary } from "../rpc-call.ts";
import type { Session } from "../session.ts";
import type { ProcessInput, ProcessService, Selector } from "../wire/process.ts";
import { type Encode, follow } from "./follow.ts";
import { select, withRunning } from "./select.ts";
import { ptySize, startProcess } from "./start.ts";

const SIGNALS: Readonly<Record<number, string>> = { 9: "SIGKILL", 15: "SIGTERM" };

/** `process.Process` over our background processes. */
export const processService = (encode: Encode): ServiceImpl<typeof ProcessService> => ({
  list: unary(async (session) => {
    const all = await session.engine.processes.list(session.who, session.id);
    return { processes: all.filter(({ state }) => state === "running").map(listed) };
  }),

  start: streaming(async function* (session, request, context) {
    const header = context.requestHeader.get("connect-timeout-ms");
    const process = await startProcess(session, request, header === null ? undefined : Number(header));
    const idleMs = keepaliveMs(context.requestHeader.get("keepalive-ping-interval"));
    for await (const event of follow(session, process, encode, 0, idleMs, context.signal)) yield { event };
  }),

  /** From now on: what was written before is not repeated. Also of one that has ended, whose end is then all that comes. */
  connect: streaming(async function* (session, request, context) {
    const process = await select(session, request.process);
    const idleMs = keepaliveMs(context.requestHeader.get("keepalive-ping-interval"));
    for await (const event of follow(session, process, encode, process.output_bytes, idleMs, context.signal)) yield { event };
  }),

  update: unary(async (session, { process, pty }) => {
    await withRunning(session, process, async ({ id }) => {
      if (pty !== undefined) await session.engine.processes.resize(session.who, session.id, id, ptySize(pty));
    });
    return {};
  }),

  sendInput: unary(async (session, { process, input }) => {
    await write(session, process, input);
    return {};
  }),

  streamInput: async (requests, context) =>
    unary(async (session) => {
      let process: Selector | undefined;
      for await (const { event } of requests) {
        if (event.case === "start") process = event.value.process;
        else if (event.case === "data") await write(session, process, event.value.input);
      }
      return {};
    })({}, context),

  sendSignal: unary(async (session, request) => {
    const signal = SIGNALS[request.signal];
    if (signal === undefined) throw new SandboxerError("invalid_request", "signal: only SIGTERM and SIGKILL can be sent");
    await withRunning(session, request.process, ({ id }) => session.engine.processes.signal(session.who, session.id, id, signal));
    return {};
  }),

  closeStdin: unary(async (session, { process }) => {
    await withRunning(session, process, async ({ id, pty }) => {
      if (pty) throw new SandboxerError("wrong_state", "a terminal's input cannot be closed: send Ctrl+D");
      await session.engine.processes.closeStdin(session.who, session.id, id);
    });
    return {};
  }),
});

async function write(session: Session, process: Selector | undefined, input: ProcessInput | undefined): Promise<void> {
  const { case: kind, value } = input?.input ?? { case: undefined };
  if (kind === undefined) throw new SandboxerError("invalid_request", "input: needs stdin or pty");
  await withRunning(session, process, async ({ id, pty }) => {
    if (pty !== (kind === "pty"))
      throw new SandboxerError("wrong_state", pty ? "the process has a terminal: send pty" : "the process has no terminal: send stdin");
    await session.engine.processes.write(session.who, session.id, id, value);
  });
}

function listed({ number, tag, command }: ProcessInfo) {
  const [cmd = "", ...args] = command.argv ?? ["/bin/sh", "-c", command.shell ?? ""];
  return {
    pid: number,
    ...(tag === null ? {} : { tag }),
    // Variables may hold secrets, and are not kept.
    config: { cmd, args, envs: {}, ...(command.cwd === undefined ? {} : { cwd: command.cwd }) },
  };
}
