import { newId, type Op, type Ref } from "../../../contract/index.ts";
import type { Agents } from "./agent.ts";
import { Companion, companionArgv } from "./companion.ts";
import type { Frame } from "./frames.ts";

/** For more to be told to the same process before its teller is let go of. */
const IDLE_MS = 30_000;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A program inside that hands on to one kept process what it is told, for agents that do not keep a program's input open. */
class Teller {
  readonly #companion: Companion;
  readonly #over: () => void;
  readonly #refused: (frame: Frame) => Error;
  readonly #waiting: Waiting[] = [];
  readonly #ready = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #failure: { readonly reason: unknown } | undefined;

  constructor(companion: Companion, refused: (frame: Frame) => Error, over: () => void) {
    this.#companion = companion;
    this.#refused = refused;
    this.#over = over;
    this.#ready.promise.catch(() => undefined);
    void this.#listen();
  }

  /** Resolves when it can be told something. Rejects where the process has no ear for it. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when the process's own companion has it. */
  send(kind: "I" | "E" | "R", body: Uint8Array): Promise<void> {
    clearTimeout(this.#timer);
    return new Promise<void>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.reason);
      this.#waiting.push({ resolve, reject });
      this.#companion.send(kind, body).catch((thrown: unknown) => this.#end(thrown));
    });
  }

  async #listen(): Promise<void> {
    try {
      for (let frames = await this.#companion.frames(); frames !== undefined; frames = await this.#companion.frames()) {
        for (const frame of frames) {
          if (frame.kind === "f") return this.#end(this.#refused(frame));
          if (frame.kind === "s") this.#ready.resolve();
          if (frame.kind === "c") this.#waiting.shift()?.resolve();
        }
        if (this.#waiting.length === 0) this.#rest();
      }
      this.#end(this.#companion.brokeOff("telling the process"));
    } catch (thrown) {
      this.#end(thrown);
    }
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(new Error("it was let go of")), IDLE_MS);
    this.#timer.unref();
  }

  #end(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { reason };
    clearTimeout(this.#timer);
    this.#ready.reject(reason);
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    this.#companion.leave();
    this.#over();
  }
}

/** Tellers by process, each made when it is first needed: one program start, then none while it is used. */
export class Tellers {
  readonly #agents: Agents;
  readonly #refused: (frame: Frame, id: string) => Error;
  readonly #tellers = new Map<string, Promise<Teller>>();

  /** `refused`: what is thrown where the companion says that it cannot be told. */
  constructor(agents: Agents, refused: (frame: Frame, id: string) => Error) {
    this.#agents = agents;
    this.#refused = refused;
  }

  async send(ref: Ref, id: string, kind: "I" | "E" | "R", body: Uint8Array, op: Op): Promise<void> {
    const key = `${ref.native}/${id}`;
    let teller = this.#tellers.get(key);
    if (teller === undefined) {
      teller = this.#open(ref, id, op, () => this.#tellers.delete(key));
      this.#tellers.set(key, teller);
      teller.catch(() => this.#tellers.delete(key));
    }
    await (await teller).send(kind, body);
  }

  async #open(ref: Ref, id: string, op: Op, over: () => void): Promise<Teller> {
    const agent = await this.#agents.of(ref, op, "processes");
    const user = await agent.userFor(undefined, op);
    // It outlives the call that needed it first.
    const own: Op = { log: op.log, signal: new AbortController().signal };
    const companion = new Companion(agent, { argv: companionArgv("tell", { id }), user, tag: newId("exec") }, own);
    const teller = new Teller(companion, (frame) => this.#refused(frame, id), over);
    await teller.ready;
    return teller;
  }
}
