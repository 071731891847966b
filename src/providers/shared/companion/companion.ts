import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SandboxerError, type Command, type Op } from "../../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../abort.ts";
import type { Agent, AgentEvent } from "./agent.ts";
import { encodeFrame, frameHead, FrameReader, u32, type Frame } from "./frames.ts";

const SOURCE = fileURLToPath(new URL("../../../../native/companion.pl", import.meta.url));
let source: string | undefined;

/** Output that may be on its way, in bytes; what nobody takes is held back inside from there on. */
export const OUTPUT_WINDOW = 4 * 1024 ** 2;
/** For what is killed to be gone. */
const ENDS_WITHIN_MS = 10_000;

/** The companion's program. */
export function companionSource(): string {
  return (source ??= readFileSync(SOURCE, "utf8"));
}

/** The words that run the companion inside. */
export function companionArgv(
  mode: "run" | "keep" | "read" | "look" | "signal" | "tell" | "end" | "init",
  options: Readonly<Record<string, string | number>>,
  ...rest: string[]
): string[] {
  const text = Object.entries(options).map(([name, value]) => `${name}=${value}`).join(","); // prettier-ignore
  return ["/usr/bin/perl", "-e", companionSource(), mode, text, ...rest];
}

/** A command's words for the companion, with the option that says what they are. */
export function wordsOf({ run }: Command): { options: Readonly<Record<string, number>>; words: readonly string[] } {
  return "argv" in run ? { options: {}, words: run.argv } : { options: { shell: 1 }, words: [run.shell] };
}

export interface CompanionStart {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  readonly tag: string;
  readonly timeoutMs?: number;
}

/** One companion at work inside, read frame by frame. Whoever lets go of it calls `leave` or `kill`. */
export class Companion {
  readonly #agent: Agent;
  readonly #tag: string;
  readonly #user: string | undefined;
  readonly #op: Op;
  readonly #stop = new AbortController();
  readonly #onAbort: () => void;
  readonly #events: AsyncIterator<AgentEvent>;
  readonly #reader = new FrameReader();
  /** Ends the wait for the next event. A race against one promise that never settles would keep every event for good. */
  #interrupt: ((reason: unknown) => void) | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #sending: Promise<void> = Promise.resolve();
  #words = "";
  #taken = 0;
  #over = false;

  constructor(agent: Agent, { argv, env = {}, user, tag, timeoutMs = 0 }: CompanionStart, op: Op) {
    throwIfAborted(op.signal);
    this.#agent = agent;
    this.#tag = tag;
    this.#user = user;
    this.#op = op;
    this.#onAbort = () => this.fail(whyAborted(op.signal));
    op.signal.addEventListener("abort", this.#onAbort, { once: true });
    this.#events = agent.start({ argv, env, user, tag, timeoutMs }, this.#stop.signal)[Symbol.asyncIterator]();
  }

  /** Whoever reads is told of this, now or when it next asks. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#interrupt?.(reason);
  }

  /** The next frames; undefined at the end of the stream, whatever was in it. Throws what broke it. */
  async frames(): Promise<Frame[] | undefined> {
    for (;;) {
      const piece = await this.#next();
      if (piece === undefined) return undefined;
      const frames = [...this.#reader.push(piece)];
      if (frames.length > 0) return frames;
    }
  }

  /** All of standard output up to the end, as it is. */
  async text(limit = 8 * 1024 ** 2): Promise<string> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (let piece = await this.#next(); piece !== undefined; piece = await this.#next()) {
      pieces.push(piece);
      size += piece.length;
      if (size > limit) throw new SandboxerError("output_limit", `more than ${limit} bytes of answer from the sandbox`);
    }
    return Buffer.concat(pieces).toString("utf8");
  }

  async #next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { value, done } = await this.#step();
      if (done === true) {
        this.#over = true;
        return undefined;
      }
      if (value.type === "end") this.#over = true;
      if (value.type === "stdout") return value.data;
      // Perl's own complaints; what the command writes comes in frames.
      if (value.type === "stderr") this.#words = (this.#words + Buffer.from(value.data).toString("utf8")).slice(-2000);
    }
  }

  async #step(): Promise<IteratorResult<AgentEvent>> {
    if (this.#failure !== undefined) throw this.#failure.reason;
    try {
      return await new Promise((resolve, reject) => {
        this.#interrupt = reject;
        this.#events.next().then(resolve, reject);
      });
    } catch (thrown) {
      if (thrown instanceof SandboxerError) throw thrown;
      throw await this.explain(thrown);
    } finally {
      this.#interrupt = undefined;
    }
  }

  /** What is to be said where the stream ended too soon. */
  brokeOff(what: string): SandboxerError {
    const words = this.#words.trim();
    return new SandboxerError(
      "backend_unavailable",
      `${what} broke off inside the sandbox${words === "" ? "" : `: ${words.slice(-500)}`}`,
      words === "" ? {} : { hint: "The image needs /usr/bin/perl, as every Debian image has it." },
    );
  }

  /** In the order of the calls. Rejects with the raw failure. */
  send(kind: "I" | "E" | "A" | "R", body: Uint8Array = new Uint8Array()): Promise<void> {
    const sent = this.#sending.then(() =>
      this.#agent.sendPieces === undefined
        ? this.#agent.send(this.#tag, encodeFrame(kind, body), this.#stop.signal)
        : this.#agent.sendPieces(this.#tag, [frameHead(kind, body.length), body], this.#stop.signal),
    );
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  /** Says that so much output was taken, so that more may come. */
  async took(bytes: number): Promise<void> {
    this.#taken += bytes;
    if (this.#taken < OUTPUT_WINDOW / 4 || this.#over) return;
    const taken = this.#taken;
    this.#taken = 0;
    try {
      await this.send("A", u32(taken));
    } catch (thrown) {
      // One that has ended needs no leave; its last output is on its way.
      if (!(await this.isOver())) throw await this.#agent.explain(thrown, this.#op.signal);
    }
  }

  /** Whether the agent has no such program any more, or nobody wants to know. */
  async isOver(): Promise<boolean> {
    return this.#over || this.#stop.signal.aborted || !(await this.#agent.runs(this.#tag, this.#op.signal));
  }

  /** What a call for this program threw, as our error. */
  explain(thrown: unknown): Promise<SandboxerError> {
    return this.#agent.explain(thrown, this.#op.signal, this.#user);
  }

  /** Stops reading; what runs inside goes on. */
  leave(): void {
    this.#op.signal.removeEventListener("abort", this.#onAbort);
    this.#stop.abort();
  }

  /**
   * Ends the whole tree, and waits for it. Where that cannot be confirmed it is logged: the tree then ends at its timeout, or by
   * `abandonExec`, or with the sandbox.
   */
  async kill(): Promise<void> {
    if (this.#over) return this.leave();
    const clock = AbortSignal.timeout(ENDS_WITHIN_MS);
    try {
      let told = await this.#agent.signal(this.#tag, "SIGTERM", clock);
      const overdue = Promise.withResolvers<never>();
      clock.addEventListener("abort", () => overdue.reject(clock.reason), { once: true });
      overdue.promise.catch(() => undefined);
      while ((await Promise.race([this.#events.next(), overdue.promise])).done !== true) {
        // Its start may have been on the way still.
        told ||= await this.#agent.signal(this.#tag, "SIGTERM", clock);
      }
    } catch (thrown) {
      this.#op.log.warn({ tag: this.#tag, error: String(thrown) }, "it is not confirmed that a command was killed");
    } finally {
      this.leave();
    }
  }
}
