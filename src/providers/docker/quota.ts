import { statusOf } from "./failure.ts";
import { helperLabels } from "./helper.ts";
import { remove } from "./remove.ts";
import type { Container, Docker } from "./sdk.ts";

const WITHIN_MS = 60_000;

/**
 * Whether the engine's storage holds a quota for each container, which it tells only when it is asked for one: a container with a quota is
 * made and not started. False where there is no image to make it of. Throws what is no answer of the engine's.
 */
export async function hasDiskQuota(docker: Docker, image: string, instance: string, abortSignal: AbortSignal): Promise<boolean> {
  let container: Container;
  try {
    container = await docker.createContainer({
      Image: image,
      Cmd: ["true"],
      Labels: helperLabels(instance, WITHIN_MS),
      HostConfig: { NetworkMode: "none", StorageOpt: { size: "64m" } },
      abortSignal,
    });
  } catch (thrown) {
    // Refused, whatever the words are: it is not to be had.
    if (statusOf(thrown) !== undefined) return false;
    throw thrown;
  }
  await remove(container, abortSignal);
  return true;
}
