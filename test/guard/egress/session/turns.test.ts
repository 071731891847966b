import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Turns } from "../../../../src/guard/egress/session/turns.ts";

test("who moves much in one turn waits for the next ones, two at a time and in order; a sibling waits for nobody", async () => {
  const [flood, sibling] = [new Turns(), new Turns()];
  const went: number[] = [];
  const waits = Array.from({ length: 10 }, (_, i) => flood.take(400_000)?.then(() => went.push(i)));
  expect(waits.map((wait) => wait === undefined)).toEqual([true, ...Array.from({ length: 9 }, () => false)]);
  expect(sibling.take(1000)).toBeUndefined();
  await turn();
  const first = went.length;
  expect(first).toBeLessThanOrEqual(4);
  // Who comes later does not overtake those that wait.
  const late = flood.take(1)?.then(() => went.push(99));
  expect(late).toBeDefined();
  await Promise.all([...waits, late]);
  expect(went).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 99]);
  await turn();
  expect(flood.take(1000)).toBeUndefined();
});
