/** What everything in a sandbox waits at while it is paused. */
export class Gate {
  #opened: PromiseWithResolvers<void> | undefined;

  get closed(): boolean {
    return this.#opened !== undefined;
  }

  close(): void {
    this.#opened ??= Promise.withResolvers();
  }

  open(): void {
    this.#opened?.resolve();
    this.#opened = undefined;
  }

  /** Resolves when it is open, at once where it is. */
  async pass(): Promise<void> {
    while (this.#opened !== undefined) await this.#opened.promise;
  }
}
