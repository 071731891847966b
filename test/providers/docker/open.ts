import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Provider } from "../../../src/contract/index.ts";
import docker from "../../../src/providers/docker/index.ts";
import type { DockerOptions } from "../../../src/providers/docker/options.ts";
import { IMAGE } from "../../support/docker-engine.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** The provider at an engine. */
export async function openProvider(
  options: Partial<DockerOptions>,
  more: { instance?: string; failpoint?: (name: string) => void } = {},
): Promise<{ provider: Provider; dispose: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-docker-provider-"));
  const provider = await docker.open(docker.options.parse({ image: IMAGE, pull: "never", ...options }), {
    backend: "docker",
    directory,
    instance: more.instance ?? "conformance",
    log: silent,
    failpoint: more.failpoint ?? (() => {}),
  });
  return {
    provider,
    async dispose() {
      await provider.dispose?.();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
