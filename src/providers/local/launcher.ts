import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { SandboxerError } from "../../contract/index.ts";

/** Beside the sources and beside the build alike. */
const LAUNCHER = fileURLToPath(new URL("../../../native/launcher.pl", import.meta.url));

/** Text in the place of which the forks show what they are: as long as the path of this file and of a process's directory may be. */
const ROOM = " ".repeat(1024);

/** Who starts fewer programs than this does better to start them itself: a short command starts two. */
const WORTH_IT_FROM = 6;

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/** What a program is started with: files that are there, or /dev/null. */
export interface Launch {
  readonly argv: readonly string[];
  readonly stdin?: string | undefined;
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
}

/** How a program ended; both null where whoever watched it ended before it did. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Launched {
  readonly ended: Promise<Ended>;
  /** Ends it, if it still runs. */
  readonly kill: () => void;
}

/** A fork of the helper, which outlives it. */
export interface Forked {
  /** Whether it has ended, or nobody sees any more whether it has. */
  readonly isOver: () => boolean;
  readonly ended: Promise<Ended>;
  readonly kill: () => void;
}

interface Pending {
  readonly started: (launched: Launched | undefined) => void;
  readonly unknown: (error: SandboxerError) => void;
  readonly ended: PromiseWithResolvers<Ended>;
}

/**
 * Starts programs by a small process of ours, once many are started: a fork of this one stops it for 1 to 3 ms, and makes
 * it slower for a while. What it cannot do, its caller does without it.
 */
export class Launcher {
  #helper: ChildProcess | undefined;
  #ready = false;
  #given = false;
  #asked = 0;
  #next = 0;
  #text = "";
  readonly #pending = new Map<number, Pending>();
  /** Those of them that this process does not stay for. */
  readonly #unawaited = new Set<number>();

  /**
   * Resolves when the program's files are open, or with undefined where it was not started and has to be in the usual way.
   * Rejects with `backend_unavailable` where the helper ended before it said.
   */
  start(launch: Launch): Promise<Launched | undefined> {
    const helper = this.#open();
    if (helper?.stdin === null || helper?.stdin === undefined) return Promise.resolve(undefined);
    return this.#ask(helper, this.#next++, launch);
  }

  /**
   * Runs the function of a Perl file in a fork of the helper, which has loaded it already: 1 ms, where Perl and its modules take 10 and more.
   * What it runs outlives the helper and this process. Resolves when it runs.
   * Throws `provider_missing_dependency` where there is no perl, `backend_unavailable` where it is not known whether it was started.
   */
  async fork(file: string, args: readonly string[]): Promise<Forked> {
    const helper = this.#helper ?? this.#spawn();
    const number = this.#next++;
    const forked = await this.#ask(helper, number, { argv: [`fork:${file}`, ...args] });
    if (this.#pending.has(number)) this.#unawaited.add(number);
    this.#holdOpen(helper);
    if (forked === undefined) throw new SandboxerError("backend_unavailable", `${file} cannot be loaded, or nothing can be forked`);
    let over = false;
    const ended = forked.ended.then((end) => {
      over = true;
      return end;
    });
    return { ended, isOver: () => over, kill: forked.kill };
  }

  #ask(helper: ChildProcess, number: number, { stdin = "", stdout = "", stderr = "", argv }: Launch): Promise<Launched | undefined> {
    const ended = Promise.withResolvers<Ended>();
    return new Promise((started, unknown) => {
      this.#pending.set(number, { started, unknown, ended });
      this.#holdOpen(helper);
      send(helper, [number, stdin, stdout, stderr, ...argv].join("\0"));
    });
  }

  /** Ends the helper; what it started goes on, and how it ends is not seen any more. */
  dispose(): void {
    this.#given = true;
    this.#helper?.stdin?.end();
  }

  #open(): ChildProcess | undefined {
    if (this.#ready) return this.#helper;
    this.#asked++;
    if (this.#helper === undefined && !this.#given && this.#asked >= WORTH_IT_FROM) this.#spawn();
    return undefined;
  }

  #spawn(): ChildProcess {
    const helper = spawn("perl", [LAUNCHER, process.arch === "arm64" ? "1" : "0", ROOM], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      // A signal to the terminal's group is the server's to handle.
      detached: true,
    });
    this.#helper = helper;
    const lost = (): void =>
      this.#lost(
        helper,
        new SandboxerError("backend_unavailable", "the process that starts programs ended; whether this one runs is not known"),
      );
    helper.once("error", (cause) => {
      // No perl here: the usual way is left, where there is one.
      this.#given = true;
      this.#lost(
        helper,
        new SandboxerError("provider_missing_dependency", "perl is not on this host", { cause, hint: "Run: apt-get install perl-base" }),
      );
    });
    helper.once("exit", lost);
    helper.stdin.on("error", lost);
    helper.stdout.setEncoding("utf8").on("data", (text: string) => this.#read(helper, text));
    helper.unref();
    if (helper.stdin instanceof Socket) helper.stdin.unref();
    this.#holdOpen(helper);
    return helper;
  }

  /** Its answers keep this process alive while any is awaited, and no longer. */
  #holdOpen({ stdout }: ChildProcess): void {
    if (!(stdout instanceof Socket)) return;
    if (this.#pending.size > this.#unawaited.size) stdout.ref();
    else stdout.unref();
  }

  #read(helper: ChildProcess, text: string): void {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      const [word, ...numbers] = line.split(" ");
      const [number = -1, value = 0] = numbers.map(Number);
      const pending = this.#pending.get(number);
      if (word === "ready") this.#ready = true;
      else if (word === "started")
        pending?.started({ ended: pending.ended.promise, kill: () => this.#pending.has(number) && send(helper, String(number)) });
      else if (pending !== undefined) {
        this.#pending.delete(number);
        this.#unawaited.delete(number);
        if (word === "failed") pending.started(undefined);
        else pending.ended.resolve(endedWith(value));
      }
    }
    this.#holdOpen(helper);
  }

  /** It has ended: whether the last programs were started is not known, and those that run have lost their witness. */
  #lost(helper: ChildProcess, error: SandboxerError): void {
    if (this.#helper !== helper) return;
    this.#helper = undefined;
    this.#ready = false;
    this.#asked = 0;
    this.#text = "";
    for (const { unknown, ended } of this.#pending.values()) {
      unknown(error);
      ended.resolve({ code: null, signal: null });
    }
    this.#pending.clear();
    this.#unawaited.clear();
  }
}

function send({ stdin }: ChildProcess, text: string): void {
  const body = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  stdin?.write(Buffer.concat([head, body]));
}

/** The status as wait(2) has it. */
function endedWith(status: number): Ended {
  const signal = status & 0x7f;
  return signal === 0 ? { code: status >> 8, signal: null } : { code: null, signal: SIGNAL_NAMES.get(signal) ?? null };
}
