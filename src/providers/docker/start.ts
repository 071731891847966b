import type { Op } from "../../contract/index.ts";
import { engineFailure, statusOf } from "./failure.ts";
import type { Container } from "./sdk.ts";

/** Starts a container; one that runs already is left as it is. */
export async function start(container: Container, where: { phase: string; backend: string }, { signal }: Op): Promise<void> {
  try {
    await container.start({ abortSignal: signal });
  } catch (thrown) {
    if (statusOf(thrown) !== 304) throw engineFailure(thrown, where, signal);
  }
}
