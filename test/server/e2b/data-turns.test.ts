import { expect, test } from "vitest";
import { Turns } from "../../../src/server/e2b/data/turns.ts";

/** Longer than any turn. */
function work(): void {
  for (const until = performance.now() + 6; performance.now() < until;);
}

test("streams that always have something to send let the event loop go round between their pieces, and take turns in the order of asking", async () => {
  const turns = new Turns();
  const order: string[] = [];
  let rounds = 0;
  let running = true;
  const round = (): void => {
    rounds++;
    if (running) setImmediate(round);
  };
  setImmediate(round);
  const stream = async (name: string): Promise<void> => {
    for (let piece = 0; piece < 5; piece++) {
      await turns.next();
      work();
      order.push(name);
    }
  };
  await Promise.all(["a", "b", "c"].map(stream));
  running = false;
  expect(order).toHaveLength(15);
  for (let at = 3; at < 15; at += 3) expect(order.slice(at, at + 3).sort()).toEqual(["a", "b", "c"]);
  // Without turns all fifteen would be done in the first.
  expect(rounds).toBeGreaterThanOrEqual(10);
});

test("whoever comes while there is time is not kept waiting", () => {
  expect(new Turns().next()).toBeUndefined();
});
