import { z } from "zod";
import {
  newId,
  SandboxerError,
  type Command,
  type ExecEvent,
  type ExecOptions,
  type Op,
  type Provider,
  type Ref,
} from "../../../contract/index.ts";
import type { Agents } from "./agent.ts";
import { Companion, companionArgv, OUTPUT_WINDOW, wordsOf } from "./companion.ts";
import { endOf, Exit, parseJson, type Frame } from "./frames.ts";
import { InputPump } from "./input.ts";

/** The agent's own clock strikes later than the companion's, in case that was killed. */
const BACKSTOP_MS = 30_000;

/** Why the companion could not do it. */
const Refusal = z.object({ why: z.string(), errno: z.int(), length: z.int() });

/** `errno` as the kernel has it, of Linux. */
const ENOENT = 2;

export function refusalOf({ body }: Frame): z.output<typeof Refusal> {
  return parseJson(Refusal, body.toString("utf8"));
}

/** A start that the companion refused. */
export function startFailure(frame: Frame, { cwd }: Command, phase: string): SandboxerError {
  const { why, errno } = refusalOf(frame);
  if (why !== "cwd")
    return new SandboxerError("backend_unavailable", `the command could not be started in the sandbox: ${why} (errno ${errno})`, { phase });
  const words = errno === ENOENT ? "there is no such directory" : `it cannot be entered (errno ${errno})`;
  return new SandboxerError("invalid_request", `cwd: ${cwd ?? "the working directory"}: ${words}`, {
    phase,
    issues: [{ path: "cwd", message: words }],
  });
}

/**
 * Commands below a companion inside the sandbox, for backends that end only the program that they started themselves, and none of what
 * that began. The companion keeps the clock, ends the tree, and lets no more than 4 MiB be on their way.
 */
export function execOverCompanion(agents: Agents): Provider["exec"] {
  return async function* exec(ref: Ref, command: Command, options: ExecOptions, op: Op): AsyncGenerator<ExecEvent> {
    const agent = await agents.of(ref, op, "exec");
    const user = await agent.userFor(command.user, op);
    const { options: kind, words } = wordsOf(command);
    const { timeoutMs, id, env = {}, cwd = agent.workdir } = command;
    const argv = companionArgv(
      "run",
      {
        ...kind,
        input: options.stdin.kind === "none" ? "none" : "pipe",
        cap: options.maxOutputBytes,
        window: OUTPUT_WINDOW,
        tag: id,
        ...(agent.oom === undefined ? {} : { oom: agent.oom }),
        ...(timeoutMs === undefined ? {} : { timeout: Math.max(1, Math.round(timeoutMs)) }),
      },
      cwd,
      ...words,
    );
    const backstop = timeoutMs === undefined ? {} : { timeoutMs: Math.ceil(timeoutMs) + BACKSTOP_MS };
    const companion = new Companion(agent, { argv, env, user, tag: id, ...backstop }, op);
    const input = new InputPump(companion, options.stdin);
    let ended = false;
    try {
      for (let frames = await companion.frames(); frames !== undefined; frames = await companion.frames()) {
        for (const frame of frames) {
          if (frame.kind === "s") {
            yield { type: "started" };
            input.start();
          } else if (frame.kind === "o" || frame.kind === "e") {
            yield { type: frame.kind === "o" ? "stdout" : "stderr", data: frame.body };
            await companion.took(frame.body.length);
          } else if (frame.kind === "c") {
            input.acknowledge(frame.body.readUInt32BE(0));
          } else if (frame.kind === "f") {
            ended = true;
            throw startFailure(frame, command, "exec");
          } else if (frame.kind === "x") {
            ended = true;
            yield { type: "exited", ...endOf(parseJson(Exit, frame.body.toString("utf8"))) };
            return;
          }
        }
      }
      throw companion.brokeOff("the command");
    } finally {
      input.stop();
      if (ended) companion.leave();
      else await companion.kill();
    }
  };
}

/** Ends a command that another process of ours, which has died, may have left running. Throws where it does not end. */
export async function endOverCompanion(agents: Agents, ref: Ref, tag: string, op: Op): Promise<void> {
  const agent = await agents.of(ref, op, "exec");
  const user = await agent.userFor(undefined, op);
  const companion = new Companion(agent, { argv: companionArgv("end", { tag }), user, tag: newId("exec") }, op);
  try {
    const [frame] = (await companion.frames()) ?? [];
    if (frame?.kind !== "z") throw new SandboxerError("backend_unavailable", `command ${tag} does not end`, { phase: "exec" });
  } finally {
    companion.leave();
  }
}
