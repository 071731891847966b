/** Of work in one piece: longer, and every other request of this process would feel it. */
const TURN_MS = 5;

/** Lets others have their turn where a long walk has had one. To be awaited at each step. */
export function turns(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < TURN_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  };
}
