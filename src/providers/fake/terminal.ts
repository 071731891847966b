import type { PtySize } from "../../contract/index.ts";
import { Channel } from "./channel.ts";
import type { Output } from "./channel.ts";
import type { Job } from "./task.ts";

/** A terminal with a line discipline: echo, erase, ^C, ^D, and CR LF on the way out. */
export class Terminal {
  size: PtySize;
  echo = true;
  readonly input = new Channel(Infinity);
  readonly output: Output;
  readonly #screen: Output;
  readonly #job: Job;
  readonly #never = new AbortController().signal;
  #line: number[] = [];

  constructor(size: PtySize, screen: Output, job: Job) {
    this.size = size;
    this.#screen = screen;
    this.#job = job;
    this.output = { write: (bytes, signal) => screen.write(withCarriageReturns(bytes), signal) };
  }

  /** What somebody types. */
  async type(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      if (byte === 3) {
        await this.#show([94, 67, 10]);
        this.#line = [];
        this.#job.kill("SIGINT");
      } else if (byte === 4) {
        if (this.#line.length === 0) this.input.end();
        else await this.#enter();
      } else if (byte === 127) {
        if (this.#line.pop() !== undefined) await this.#show([8, 32, 8]);
      } else {
        const typed = byte === 13 ? 10 : byte;
        this.#line.push(typed);
        await this.#show([typed]);
        if (typed === 10) await this.#enter();
      }
    }
  }

  async #show(bytes: number[]): Promise<void> {
    if (this.echo) await this.#screen.write(withCarriageReturns(Uint8Array.from(bytes)), this.#never);
  }

  async #enter(): Promise<void> {
    const line = Uint8Array.from(this.#line);
    this.#line = [];
    await this.input.write(line, this.#never);
  }
}

function withCarriageReturns(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(10)) return bytes;
  const out: number[] = [];
  for (const byte of bytes) {
    if (byte === 10) out.push(13);
    out.push(byte);
  }
  return Uint8Array.from(out);
}
