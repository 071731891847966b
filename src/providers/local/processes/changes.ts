import { type FSWatcher, watch } from "node:fs";

/** In case the kernel has dropped a notice: then this is how late one comes. */
const LOOK_MS = 250;

/** Waits for changes of files in a process's directory, as the kernel tells them. Nothing is kept open by it but one watch. */
export class Changes {
  readonly #watchers: FSWatcher[] = [];
  readonly #names: readonly string[];
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal;
  #changed = true;
  #wake: (() => void) | undefined;

  /** @param names Those that matter; of all others nothing is heard. */
  constructor(directory: string, names: readonly string[], signal: AbortSignal) {
    this.#names = names;
    this.also(directory);
    this.#timer = setInterval(this.notice, LOOK_MS);
    this.#signal = signal;
    signal.addEventListener("abort", this.notice, { once: true });
  }

  /** Those files in another directory too, from now on; what happened there before counts as a change. */
  also(directory: string): void {
    const watcher = watch(directory, { persistent: false }, (_, name) => {
      if (name === null || this.#names.includes(name)) this.notice();
    });
    // The directory goes with its sandbox; the next look at it says so.
    watcher.on("error", this.notice);
    this.#watchers.push(watcher);
    this.notice();
  }

  /** As if a file had changed. */
  readonly notice = (): void => {
    this.#changed = true;
    this.#wake?.();
  };

  /** Resolves when something has changed since the last time; the first time at once. */
  async next(): Promise<void> {
    if (!this.#changed) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
    this.#changed = false;
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    clearInterval(this.#timer);
    this.#signal.removeEventListener("abort", this.notice);
  }
}
