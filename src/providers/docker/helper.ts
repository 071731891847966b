import { remove } from "./remove.ts";
import type { Docker } from "./sdk.ts";

/** Containers that are no sandboxes: they probe the engine or prepare an image, and are over in a moment. */

const OWNER = "dev.sandboxer.helper";
const UNTIL = "dev.sandboxer.helper-until";

/** What marks one as ours, and after when it may be taken for left over. */
export function helperLabels(instance: string, withinMs: number): Readonly<Record<string, string>> {
  return { [OWNER]: instance, [UNTIL]: String(Date.now() + withinMs) };
}

/** Removes those whose maker has died or could not remove them. */
export async function removeLeftHelpers(docker: Docker, instance: string, abortSignal: AbortSignal): Promise<void> {
  const found = await docker.listContainers({ all: true, filters: { label: [`${OWNER}=${instance}`] }, abortSignal });
  const left = found.filter(({ Labels }) => !(Number(Labels[UNTIL]) > Date.now()));
  await Promise.all(left.map(({ Id }) => remove(docker.getContainer(Id), abortSignal)));
}
