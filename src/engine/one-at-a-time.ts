/**
 * Runs the same work one at a time. Who asks while it runs gets the run after this one, together with all others who ask
 * meanwhile: the run that is under way may have looked too early.
 */
export class OneAtATime {
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  run(work: () => Promise<void>): Promise<void> {
    if (this.#next !== null) return this.#next;
    const begin = async () => {
      this.#next = null;
      await work();
    };
    const next = this.#running.then(begin, begin);
    this.#next = next;
    this.#running = next;
    return next;
  }
}
