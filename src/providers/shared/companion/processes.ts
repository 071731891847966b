import { constants } from "node:os";
import { z } from "zod";
import {
  newId,
  SandboxerError,
  type Command,
  type End,
  type Op,
  type OutputChunk,
  type Processes,
  type ProcessStatus,
  type PtySize,
  type Ref,
} from "../../../contract/index.ts";
import type { Agents } from "./agent.ts";
import { Companion, companionArgv, OUTPUT_WINDOW, wordsOf } from "./companion.ts";
import { encodeFrame, endOf, Exit, parseJson, type Frame } from "./frames.ts";
import { refusalOf, startFailure } from "./exec.ts";
import { Tellers } from "./tell.ts";

const PHASE = "processes";
/** What one call hands to the agent at most. */
const PIECE = 64 * 1024;
/** Processes whose input is known; when there are more, all are looked up again. */
const REMEMBERED = 10_000;

/** A line of what the companion says of all processes. */
const Look = z.object({
  id: z.string(),
  started_at: z.number(),
  input: z.enum(["none", "pipe", "pty"]),
  alive: z.boolean(),
  bytes: z.int(),
  truncated: z.boolean(),
  exit: Exit,
});
type Look = z.output<typeof Look>;

interface StartOptions {
  readonly pty?: PtySize;
  readonly stdin: "none" | "pipe";
  readonly maxOutputBytes: number;
}

/** What is told of a process; one whose companion was killed has ended, and nobody saw how. */
function statusOf({ id, started_at: startedAt, bytes: outputBytes, alive, truncated, exit }: Look): ProcessStatus {
  if (exit === null && alive) return { id, running: true, startedAt, endedAt: null, end: null, outputBytes };
  return { id, running: false, startedAt, endedAt: exit?.at ?? startedAt, end: endOf(exit, truncated), outputBytes };
}

function checked(id: string): string {
  if (/^[a-z0-9]{1,64}$/.test(id)) return id;
  throw new SandboxerError("invalid_request", "the id of a process is small letters and digits", { phase: PHASE });
}

const notFound = (id: string): SandboxerError =>
  new SandboxerError("process_not_found", `there is no process ${id} in the sandbox`, { phase: PHASE });
const wrongState = (message: string): SandboxerError => new SandboxerError("wrong_state", message, { phase: PHASE });

/** Why the companion would not do it. */
function refused(frame: Frame, id: string): SandboxerError {
  const { why, length } = refusalOf(frame);
  if (why === "absent") return notFound(id);
  if (why === "ended") return wrongState(`process ${id} has ended`);
  if (why !== "offset") return new SandboxerError("backend_unavailable", `the sandbox's journals cannot be used: ${why}`, { phase: PHASE });
  const message = `there are ${length} bytes of output`;
  return new SandboxerError("invalid_request", `offset: ${message}`, { phase: PHASE, issues: [{ path: "offset", message, nearest: String(length) }] }); // prettier-ignore
}

/**
 * Background processes below companions that keep their journals in the sandbox. They belong to the user they run as, so code inside
 * can falsify them; nothing outside the sandbox relies on them.
 */
export class CompanionProcesses implements Processes {
  readonly #agents: Agents;
  /** Of processes that were started or looked at here, how they take input: saves a look before each write. */
  readonly #inputs = new Map<string, Look["input"] | "closed">();
  /** Writes to one process keep their order. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #tellers: Tellers;

  constructor(agents: Agents) {
    this.#agents = agents;
    this.#tellers = new Tellers(agents, refused);
  }

  async start(ref: Ref, command: Command, options: StartOptions, op: Op): Promise<void> {
    const agent = await this.#agents.of(ref, op, PHASE);
    const user = await agent.userFor(command.user, op);
    if (user !== undefined && user !== agent.user)
      throw new SandboxerError("capability_unsupported", "user: background processes here run as the sandbox's own user", { phase: PHASE });
    const { options: kind, words } = wordsOf(command);
    const input = options.pty === undefined ? options.stdin : "pty";
    const settings = {
      ...kind,
      id: checked(command.id),
      input,
      cap: options.maxOutputBytes,
      ...(agent.oom === undefined ? {} : { oom: agent.oom }),
      ...(agent.keepsInput ? {} : { fifo: 1 }),
      ...(options.pty === undefined ? {} : { rows: options.pty.rows, cols: options.pty.cols }),
      ...(command.timeoutMs === undefined ? {} : { timeout: Math.max(1, Math.round(command.timeoutMs)) }),
    };
    const env = { ...(options.pty === undefined ? {} : { TERM: "xterm-256color" }), ...command.env };
    const argv = companionArgv("keep", settings, command.cwd ?? agent.workdir, ...words);
    const companion = new Companion(agent, { argv, env, user, tag: command.id }, op);
    let started = false;
    try {
      const [frame] = (await companion.frames()) ?? [];
      if (frame === undefined) throw companion.brokeOff("the start of the process");
      if (frame.kind === "f") throw startFailure(frame, command, PHASE);
      started = true;
      this.#remember(`${ref.native}/${command.id}`, input);
    } finally {
      if (started) companion.leave();
      else await companion.kill();
    }
  }

  async list(ref: Ref, op: Op): Promise<ProcessStatus[]> {
    return (await this.#look(ref, undefined, op)).map(statusOf);
  }

  async status(ref: Ref, id: string, op: Op): Promise<ProcessStatus | "absent"> {
    const [found] = await this.#look(ref, checked(id), op);
    return found === undefined ? "absent" : statusOf(found);
  }

  async *output(ref: Ref, id: string, from: { offset: number; follow: boolean }, op: Op): AsyncGenerator<OutputChunk> {
    const settings = { id: checked(id), offset: from.offset, window: OUTPUT_WINDOW, ...(from.follow ? { follow: 1 } : {}) };
    const companion = await this.#companion(ref, companionArgv("read", settings), op);
    let { offset } = from;
    let over = false;
    try {
      for (let frames = await companion.frames(); frames !== undefined; frames = await companion.frames()) {
        for (const frame of frames) {
          if (frame.kind === "o" || frame.kind === "e") {
            offset += frame.body.length;
            yield { type: frame.kind === "o" ? "stdout" : "stderr", data: frame.body, offset };
            await companion.took(frame.body.length);
            continue;
          }
          over = true;
          if (frame.kind === "f") throw refused(frame, id);
          if (frame.kind === "x") yield { type: "ended", offset, ...(await this.#endOf(ref, id, frame, op)) };
          return;
        }
      }
      throw companion.brokeOff("reading the journal");
    } finally {
      if (over) companion.leave();
      else await companion.kill();
    }
  }

  async signal(ref: Ref, id: string, signal: string, op: Op): Promise<void> {
    if (!Object.hasOwn(constants.signals, signal))
      throw new SandboxerError("invalid_request", `unknown signal "${signal}"`, { issues: [{ path: "signal", message: "is no signal" }] });
    const companion = await this.#companion(ref, companionArgv("signal", { id: checked(id), signal: signal.slice(3) }), op);
    try {
      const [frame] = (await companion.frames()) ?? [];
      if (frame?.kind === "f") throw refused(frame, id);
      if (frame?.kind !== "z") throw companion.brokeOff("sending a signal");
    } finally {
      companion.leave();
    }
  }

  async write(ref: Ref, id: string, data: Uint8Array, op: Op): Promise<void> {
    const input = await this.#inputOf(ref, id, op);
    if (input === "none") throw wrongState(`process ${id} has no input`);
    if (input === "closed") throw wrongState(`the input of process ${id} was closed`);
    for (let at = 0; at < data.length; at += PIECE) await this.#send(ref, id, "I", data.subarray(at, at + PIECE), op);
  }

  async closeStdin(ref: Ref, id: string, op: Op): Promise<void> {
    const input = await this.#inputOf(ref, id, op);
    if (input === "none") throw wrongState(`process ${id} has no input`);
    await this.#send(ref, id, "E", new Uint8Array(), op);
    if (input === "pipe") this.#inputs.set(`${ref.native}/${id}`, "closed");
  }

  async resize(ref: Ref, id: string, { rows, cols }: PtySize, op: Op): Promise<void> {
    if ((await this.#inputOf(ref, id, op)) !== "pty") throw wrongState(`process ${id} has no terminal`);
    const size = Buffer.alloc(4);
    size.writeUInt16BE(rows, 0);
    size.writeUInt16BE(cols, 2);
    await this.#send(ref, id, "R", size, op);
  }

  async #companion(ref: Ref, argv: readonly string[], op: Op): Promise<Companion> {
    const agent = await this.#agents.of(ref, op, PHASE);
    // The journals belong to the sandbox's own user.
    return new Companion(agent, { argv, user: await agent.userFor(undefined, op), tag: newId("exec") }, op);
  }

  async #look(ref: Ref, id: string | undefined, op: Op): Promise<Look[]> {
    const companion = await this.#companion(ref, companionArgv("look", id === undefined ? {} : { id }), op);
    try {
      const lines = (await companion.text()).split("\n").filter((line) => line !== "");
      return lines.map((line) => parseJson(Look, line));
    } finally {
      companion.leave();
    }
  }

  /** The journal has the end; whether the cap cut it where the companion was killed, only a look says. */
  async #endOf(ref: Ref, id: string, { body }: Frame, op: Op): Promise<End> {
    const exit = parseJson(Exit, body.toString("utf8"));
    if (exit !== null) return endOf(exit);
    const [found] = await this.#look(ref, id, op);
    return endOf(null, found?.truncated);
  }

  async #inputOf(ref: Ref, id: string, op: Op): Promise<Look["input"] | "closed"> {
    const key = `${ref.native}/${checked(id)}`;
    const known = this.#inputs.get(key);
    if (known !== undefined) return known;
    const [found] = await this.#look(ref, id, op);
    if (found === undefined) throw notFound(id);
    this.#remember(key, found.input);
    return found.input;
  }

  #remember(key: string, input: Look["input"]): void {
    if (this.#inputs.size >= REMEMBERED) this.#inputs.clear();
    this.#inputs.set(key, input);
  }

  async #send(ref: Ref, id: string, kind: "I" | "E" | "R", body: Uint8Array, op: Op): Promise<void> {
    const key = `${ref.native}/${id}`;
    const agent = await this.#agents.of(ref, op, PHASE);
    const sent = (this.#turns.get(key) ?? Promise.resolve()).then(() =>
      agent.keepsInput ? agent.send(id, encodeFrame(kind, body), op.signal) : this.#tellers.send(ref, id, kind, body, op),
    );
    const turn = sent.catch(() => undefined);
    this.#turns.set(key, turn);
    try {
      await sent;
    } catch (thrown) {
      const status = await this.status(ref, id, op);
      if (status === "absent") throw notFound(id);
      if (!status.running) throw wrongState(`process ${id} has ended`);
      throw await agent.explain(thrown, op.signal);
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
    }
  }
}
