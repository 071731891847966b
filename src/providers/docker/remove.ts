import { setTimeout as sleep } from "node:timers/promises";
import { statusOf } from "./failure.ts";
import { filterOf } from "./labels.ts";
import type { Container, Docker } from "./sdk.ts";

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

/** Removes what stands beside a sandbox under its label: services, and then their volumes. Answers whether there was anything. */
export async function removeServices(docker: Docker, instance: string, id: string, abortSignal: AbortSignal): Promise<boolean> {
  const filters = filterOf(instance, id);
  const containers = await docker.listContainers({ all: true, filters, abortSignal });
  await Promise.all(containers.map(({ Id }) => remove(docker.getContainer(Id), abortSignal)));
  const { Volumes } = await docker.listVolumes({ filters, abortSignal });
  for (const { Name } of Volumes ?? []) {
    try {
      await docker.getVolume(Name).remove({ abortSignal });
    } catch (thrown) {
      if (statusOf(thrown) !== 404) throw thrown;
    }
  }
  return containers.length > 0;
}
