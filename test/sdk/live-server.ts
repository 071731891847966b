import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { LOCAL_OPERATOR } from "../../src/contract/index.ts";
import { openSandboxer, serverOver } from "../../src/main.ts";
import { SandBoxer, type SandBoxerOptions } from "../../src/sdk/index.ts";

export interface Live {
  readonly url: string;
  readonly apiKey: string;
  client(options?: SandBoxerOptions): SandBoxer;
}

/** A real server on a free port over a real engine; its backend is the shipped in-memory one, with these options. */
export async function liveServer(fake: Record<string, unknown> = {}): Promise<Live> {
  const dataDir = mkdtempSync(join(tmpdir(), "sbx-sdk-"));
  chmodSync(dataDir, 0o711);
  const config = {
    backends: [{ name: "fake", provider: "fake", options: { isolation: "container", ...fake } }],
    log_level: "silent" as const,
  };
  const opened = await openSandboxer({ dataDir, config, stays: true });
  const server = await serverOver(opened);
  onTestFinished(async () => {
    await server.close();
    await opened.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const { url } = await server.listen({ port: 0 });
  const { secret: apiKey } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "test", scopes: ["read", "write", "admin"] });
  return { url, apiKey, client: (options = {}) => new SandBoxer({ url, apiKey, ...options }) };
}
