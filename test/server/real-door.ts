import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { LOCAL_OPERATOR, type KeyInfo, type Sandbox, type Scope } from "../../src/contract/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openSandboxer, serverOver } from "../../src/main.ts";

export interface RealDoor {
  url: string;
  engine: Engine;
  key(tenant: string, scopes: Scope[]): Promise<{ secret: string; key: KeyInfo }>;
  sandbox(tenant: string): Promise<Sandbox>;
}

/** A listening server over the real engine, with the backend that is only in memory. Closed when the test ends. */
export async function openRealDoor(): Promise<RealDoor> {
  const dataDir = await mkdtemp(join(tmpdir(), "sbx-door-"));
  const opened = await openSandboxer({
    dataDir,
    config: {
      backends: [{ name: "memory", provider: "fake", options: { isolation: "container" } }],
      log_level: "silent",
      preview: { publish: [{ from: 3000, to: 3000, visibility: "public" }] },
    },
  });
  const server = await serverOver(opened);
  onTestFinished(async () => {
    await server.close();
    await opened.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  const { url } = await server.listen({ port: 0 });
  const { engine } = opened;
  return {
    url,
    engine,
    key: (tenant, scopes) => engine.keys.create(LOCAL_OPERATOR, { name: "test", tenant, scopes }),
    sandbox: async (tenant) => (await engine.create({ tenant, key_id: null, scopes: ["write"] }, {}, {})).sandbox,
  };
}
