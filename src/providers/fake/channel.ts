/** Where a command reads from. */
export interface Input {
  /** The next bytes, or null at the end. */
  read(signal: AbortSignal): Promise<Uint8Array | null>;
  /** Gives back what was read too far. */
  unread(bytes: Uint8Array): void;
  /** Nobody reads any more: writers get a broken pipe. */
  close(): void;
}

/** Where a command writes to. */
export interface Output {
  /** Resolves when there is room for more. Throws {@link BrokenPipe} where nobody reads any more. */
  write(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** A write to a pipe that nobody reads. */
export class BrokenPipe extends Error {}

/** Waits for a promise, or until the signal aborts: then throws its reason. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason as Error);
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** A gate that many can wait at and one opens for all who wait now. */
export class Bell {
  #waiting = Promise.withResolvers<void>();

  ring(): void {
    this.#waiting.resolve();
    this.#waiting = Promise.withResolvers();
  }

  heard(signal: AbortSignal): Promise<void> {
    return orAborted(this.#waiting.promise, signal);
  }
}

/** A pipe of 64 KiB, as a kernel's: a writer waits while it is full, a reader while it is empty. */
export class Channel implements Input, Output {
  #queue: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #closed = false;
  readonly #bell = new Bell();
  readonly #capacity: number;

  constructor(capacity = 65_536) {
    this.#capacity = capacity;
  }

  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    while (!this.#closed && !this.#ended && this.#bytes > 0 && this.#bytes + bytes.length > this.#capacity) await this.#bell.heard(signal);
    if (this.#closed || this.#ended) throw new BrokenPipe("broken pipe");
    if (bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#bytes += bytes.length;
    this.#bell.ring();
  }

  async read(signal: AbortSignal): Promise<Uint8Array | null> {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) {
        this.#bytes -= next.length;
        this.#bell.ring();
        return next;
      }
      if (this.#ended || this.#closed) return null;
      await this.#bell.heard(signal);
    }
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#queue.unshift(bytes);
    this.#bytes += bytes.length;
  }

  /** No more is written: the reader gets what is left, then the end. */
  end(): void {
    this.#ended = true;
    this.#bell.ring();
  }

  get ended(): boolean {
    return this.#ended;
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#bytes = 0;
    this.#bell.ring();
  }
}

/** An input of fixed bytes. */
export function inputOf(...chunks: Uint8Array[]): Input {
  const channel = new Channel(Infinity);
  for (const chunk of chunks) channel.unread(chunk);
  channel.end();
  return channel;
}
