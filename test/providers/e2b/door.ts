import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Provider } from "../../../src/contract/index.ts";
import e2b from "../../../src/providers/e2b/index.ts";
import type { E2bOptions } from "../../../src/providers/e2b/options.ts";
import { dataDirectory } from "../../support/local-engine.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Our own E2B door with the local runtime behind it, in a process of its own: what stands in for E2B in tests, nothing of it made up. */
export interface OwnDoor extends AsyncDisposable {
  readonly url: string;
  readonly key: string;
}

export async function openOwnDoor(): Promise<OwnDoor> {
  const program = fileURLToPath(new URL("door.child.ts", import.meta.url));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, dataDirectory("e2b-upstream")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  for await (const line of createInterface(child.stdout)) {
    const { url, key } = JSON.parse(line) as { url: string; key: string };
    return {
      url,
      key,
      async [Symbol.asyncDispose]() {
        child.stdin.end();
        await ended;
      },
    };
  }
  throw new Error("the door ended before it said its address");
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
    e2b.options.parse({
      api_key_env: variable,
      api_url: url,
      sandbox_url: url,
      isolation: "container",
      plan: { max_seconds: 86_400, create_rate_per_s: 1000 },
      ...options,
    }),
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
