/**
 * The items of `source` until the signal aborts; then throws the signal's reason, also where the source itself hangs.
 * The source is told to stop and not waited for. `onStopError` hears of a source that fails while it stops.
 */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
  onStopError: (error: unknown) => void,
): AsyncGenerator<T, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  let interrupt: ((reason: unknown) => void) | undefined;
  const onAbort = (): void => interrupt?.(signal.reason);
  signal.addEventListener("abort", onAbort);
  let ended = false;
  try {
    while (true) {
      // One listener for the whole stream: Promise.race against a lasting promise would keep every item's reaction.
      const step = await new Promise<IteratorResult<T>>((resolve, reject) => {
        interrupt = reject;
        iterator.next().then(resolve, (error: unknown) => {
          ended = true;
          reject(error);
        });
        // Only now: a source that was never started would not hear that it is to stop.
        if (signal.aborted) reject(signal.reason);
      });
      if (step.done === true) {
        ended = true;
        return;
      }
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (!ended) iterator.return?.().then(undefined, onStopError);
  }
}
