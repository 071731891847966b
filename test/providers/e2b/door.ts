import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LOCAL_OPERATOR, type Provider } from "../../../src/contract/index.ts";
import { openSandboxer, serverOver, type Opened } from "../../../src/main.ts";
import e2b from "../../../src/providers/e2b/index.ts";
import type { E2bOptions } from "../../../src/providers/e2b/options.ts";
import { cleanUp, dataDirectory, localConfig } from "../../support/local-engine.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Our own E2B door with the local runtime behind it, as a process of its own would have it: what stands in for E2B in tests, nothing of it made up. */
export interface OwnDoor extends AsyncDisposable {
  readonly url: string;
  readonly opened: Opened;
  readonly key: string;
}

export async function openOwnDoor(): Promise<OwnDoor> {
  const dataDir = dataDirectory("e2b-upstream");
  // A server sweeps at intervals, which is what ends a sandbox at its timeout.
  const config = { ...localConfig(), sweep_interval: 1 };
  const opened = await openSandboxer({ dataDir, config, stays: true });
  const server = await serverOver(opened);
  const { url } = await server.listen({ port: 0 });
  const { secret } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "upstream", tenant: "acme", scopes: ["read", "write"] });
  return {
    url,
    opened,
    key: secret.replace(/^sbx_/, "e2b_"),
    async [Symbol.asyncDispose]() {
      await server.close();
      await cleanUp(opened);
    },
  };
}

/** The provider pointed at an address, with a key in a variable of its own. */
export async function openProvider(
  { url, key }: { url: string; key: string },
  options: Partial<E2bOptions> = {},
  more: { instance?: string; failpoint?: (name: string) => void } = {},
): Promise<{ provider: Provider; dispose: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-e2b-provider-"));
  const variable = `E2B_TEST_KEY_${Math.random().toString(36).slice(2).toUpperCase()}`;
  process.env[variable] = key;
  const provider = await e2b.open(
    e2b.options.parse({ api_key_env: variable, api_url: url, sandbox_url: url, isolation: "container", plan: { max_seconds: 86_400 }, ...options }),
    { backend: "e2b", directory, instance: more.instance ?? "conformance", log: silent, failpoint: more.failpoint ?? (() => {}) },
  );
  return {
    provider,
    dispose: async () => {
      delete process.env[variable];
      await provider.dispose?.();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
