import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId, type Op, type Provider, type SandboxSpec } from "../../../src/contract/index.ts";
import ssh from "../../../src/providers/ssh/index.ts";
import type { SshProviderOptions } from "../../../src/providers/ssh/options.ts";
import type { Sshd } from "../../support/sshd.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export const op = (signal: AbortSignal = new AbortController().signal): Op => ({ signal, log: silent });

export function specOf(over: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: newId("sandbox"), tenant: "acme", generation: 1, image: "host", hostname: "sandbox", env: {},
    resources: { cpu: 1, memoryBytes: 128 * 1024 ** 2, diskBytes: 1024 ** 3, inodes: 100_000, pids: 64 },
    isolationMin: "process", allowPtrace: false, maxLifeAt: Date.now() + 300_000, metadata: {}, ...over,
  }; // prettier-ignore
}

/** Where sandboxes are at the host of a test's sshd. */
export const rootOf = (sshd: Sshd): string => join(sshd.directory, "sandboxes");

/** Options that lead to a test's own sshd. */
export function optionsFor(sshd: Sshd): SshProviderOptions {
  return {
    reach: { form: "direct", address: "127.0.0.1", port: sshd.port },
    identity: { form: "file", private_key: sshd.userKeyFile },
    host_key: { form: "pinned", keys: [sshd.hostKey] },
    root: rootOf(sshd),
    // Of this test's own, since hosts of other tests are this same machine.
    first_uid: 1_900_000_000 + (sshd.port % 1000) * 50_000,
    uids: 50_000,
  };
}

export async function openProvider(
  options: SshProviderOptions,
  more: { instance?: string; failpoint?: (name: string) => void } = {},
): Promise<{ provider: Provider; dispose: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-ssh-provider-"));
  const context = {
    backend: "box",
    directory,
    instance: more.instance ?? "conformance",
    log: silent,
    failpoint: more.failpoint ?? (() => {}),
  };
  let provider: Provider;
  try {
    provider = await ssh.open(ssh.options.parse(options), context);
  } catch (thrown) {
    rmSync(directory, { recursive: true, force: true });
    throw thrown;
  }
  return {
    provider,
    async dispose() {
      await provider.dispose?.();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
