import type { Pause, Ref } from "../../contract/index.ts";
import { containerOf, type Maker } from "./create.ts";
import { engineFailure, statusOf } from "./failure.ts";
import { filterOf } from "./labels.ts";
import type { Container } from "./sdk.ts";

/**
 * The engine's pause, of a sandbox and of the services beside it: the kernel's freezer in all of them. One request to list them, and one
 * each.
 */
export function dockerPause(maker: Maker, within: (signal: AbortSignal) => AbortSignal): Pause {
  const { docker, backend } = maker.agents;

  async function each(ref: Ref, signal: AbortSignal, phase: "pause" | "resume", paused: boolean): Promise<void> {
    const abortSignal = within(signal);
    try {
      const own = containerOf(maker, ref);
      // What is asked for by its name and is not there is told as that.
      const { Id } = await own.inspect({ abortSignal });
      const beside = await docker.listContainers({ all: true, filters: filterOf(maker.instance, ref.id), abortSignal });
      const services = beside.filter((one) => one.Id !== Id && one.State === (paused ? "running" : "paused"));
      // A service that its sandbox waits for stops after it, and runs before it.
      const all = [own, ...services.map((one) => docker.getContainer(one.Id))];
      for (const container of paused ? all : all.toReversed()) await change(container, paused, abortSignal);
    } catch (thrown) {
      throw engineFailure(thrown, { phase, backend }, signal);
    }
  }

  return {
    pause: (ref, { signal }) => each(ref, signal, "pause", true),
    resume: (ref, { signal }) => each(ref, signal, "resume", false),
  };
}

/** The engine refuses to do again what is done: then it is as was asked for. */
async function change(container: Container, paused: boolean, abortSignal: AbortSignal): Promise<void> {
  try {
    await (paused ? container.pause({ abortSignal }) : container.unpause({ abortSignal }));
  } catch (thrown) {
    const { State } = await container.inspect({ abortSignal });
    if (State.Paused !== paused || !State.Running || statusOf(thrown) === undefined) throw thrown;
  }
}
