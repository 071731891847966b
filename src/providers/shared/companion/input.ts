import type { Stdin } from "../../../contract/index.ts";
import type { Companion } from "./companion.ts";

/** Input that may be on its way and not yet taken by the command. The companion holds it, so that it can always read what else is sent, and tells of it in steps of 128 KiB. */
const WINDOW = 512 * 1024;
const PIECE = 64 * 1024;

/** Feeds a command's standard input, no faster than the command takes it. */
export class InputPump {
  readonly #companion: Companion;
  readonly #stdin: Stdin;
  #room = WINDOW;
  #stopped = false;
  #source: AsyncIterator<Uint8Array> | undefined;
  #wake: (() => void) | undefined;

  constructor(companion: Companion, stdin: Stdin) {
    this.#companion = companion;
    this.#stdin = stdin;
  }

  start(): void {
    if (this.#stdin.kind === "none") return;
    this.#source = (this.#stdin.kind === "bytes" ? once(this.#stdin.bytes) : this.#stdin.stream)[Symbol.asyncIterator]();
    void this.#pump(this.#source).catch((thrown: unknown) => this.#companion.fail(thrown));
  }

  acknowledge(bytes: number): void {
    this.#room += bytes;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
    // Whoever waits for more of it may wait for good: the source is told, and not waited for.
    void Promise.resolve(this.#source?.return?.()).catch(() => undefined);
  }

  async #pump(source: AsyncIterator<Uint8Array>): Promise<void> {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      const chunk = next.value;
      for (let at = 0; at < chunk.length; at += PIECE) {
        const piece = chunk.subarray(at, at + PIECE);
        while (this.#room < piece.length && !this.#stopped) await new Promise<void>((resolve) => (this.#wake = resolve));
        if (this.#stopped) return;
        this.#room -= piece.length;
        if (!(await this.#send("I", piece))) return;
      }
      if (this.#stopped) return;
    }
    await this.#send("E");
  }

  /** False where the command has ended meanwhile: then its end is what there is to tell. */
  async #send(kind: "I" | "E", body?: Uint8Array): Promise<boolean> {
    try {
      await this.#companion.send(kind, body);
      return true;
    } catch (thrown) {
      if (this.#stopped || (await this.#companion.isOver())) return false;
      throw await this.#companion.explain(thrown);
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
