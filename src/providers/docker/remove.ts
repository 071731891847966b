import { setTimeout as sleep } from "node:timers/promises";
import { statusOf } from "./failure.ts";
import type { Container } from "./sdk.ts";

const LOOK_MS = 50;

/** Removes a container with its volumes, running or not; what somebody else is removing is waited for. */
export async function remove(container: Container, abortSignal: AbortSignal): Promise<"destroyed" | "absent"> {
  let begun = false;
  for (;;) {
    try {
      await container.remove({ force: true, v: true, abortSignal });
      return "destroyed";
    } catch (thrown) {
      if (statusOf(thrown) === 404) return begun ? "destroyed" : "absent";
      // 409: its removal is under way.
      if (statusOf(thrown) !== 409) throw thrown;
      begun = true;
    }
    await sleep(LOOK_MS, undefined, { signal: abortSignal });
  }
}
