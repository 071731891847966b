import type { Docker } from "./sdk.ts";

/**
 * Whether the engine's storage holds a quota for each container, which it tells only when it is asked for one: a container with a quota is
 * made and not started. False where there is no image to make it of.
 */
export async function hasDiskQuota(docker: Docker, image: string, instance: string): Promise<boolean> {
  try {
    const container = await docker.createContainer({
      Image: image,
      Cmd: ["true"],
      Labels: { "dev.sandboxer.probe": instance },
      HostConfig: { NetworkMode: "none", StorageOpt: { size: "64m" } },
    });
    await container.remove({ force: true, v: true });
    return true;
  } catch {
    // Refused, whatever the words are: it is not to be had.
    return false;
  }
}
