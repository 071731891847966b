import { expect, test } from "vitest";
import { Pace } from "../../../src/providers/e2b/pace.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };
const op = (signal: AbortSignal = new AbortController().signal) => ({ signal, log });

test("creates take turns, and one that would wait too long is told how long, for another backend to have it", async () => {
  const pace = new Pace(0.4, "e2b");
  await pace.turn(op());
  const abort = new AbortController();
  const second = pace.turn(op(abort.signal));
  await expect(pace.turn(op())).rejects.toMatchObject({ code: "backend_rate_limited", details: { retry_after: 5 } });
  abort.abort();
  await expect(second).rejects.toMatchObject({ code: "canceled" });
});
