import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, newId, type Op, type OpenContext, type Provider } from "../../../src/contract/index.ts";
import type { LocalOptions } from "../../../src/providers/local/options.ts";
import { discardDisk, discardRoot } from "../../../src/providers/local/disk/image.ts";
import { discardNamespaces } from "../../../src/providers/local/network/namespace.ts";
import { leaveProbes, takeProbes } from "../../support/probed.ts";
import local from "../../../src/providers/local/index.ts";

const nothing = (): void => undefined;
export const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

export function op(signal: AbortSignal = new AbortController().signal): Op {
  return { signal, log: silent };
}

/** A data directory of one test file, and as many providers on it as it opens. */
export class Scratch {
  readonly directory: string;
  readonly instance: string = newId("instance");
  readonly #open: Provider[] = [];
  readonly #knowing: boolean;

  /** @param knowing Whether it is told what other tests' probes of this host have found. */
  constructor({ knowing = true } = {}) {
    this.#knowing = knowing;
    this.directory = mkdtempSync(join(tmpdir(), "sand-boxer-local-"));
    chmodSync(this.directory, 0o711);
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  context(failpoint: (name: string) => void = nothing): OpenContext {
    return { backend: "local", directory: this.directory, instance: this.instance, log: silent, failpoint };
  }

  async open(options: LocalOptions = {}, failpoint?: (name: string) => void): Promise<Provider> {
    if (this.#knowing) takeProbes(this.directory, options.runtimes);
    const provider = await local.open({ pool: 0, ...options }, this.context(failpoint));
    leaveProbes(this.directory, options.runtimes);
    this.#open.push(provider);
    return provider;
  }

  /** Ends every sandbox that is left, unmounts and removes everything. */
  async remove(): Promise<void> {
    const [first] = this.#open;
    if (first !== undefined) {
      for await (const ref of first.list(op())) await first.destroy(ref, op());
      for (const provider of this.#open) await provider.dispose?.();
    }
    const roots = this.path("slots", "roots");
    for (const name of existsSync(roots) ? readdirSync(roots) : []) await discardRoot(join(roots, name));
    const disks = this.path("slots", "disks");
    for (const name of existsSync(disks) ? readdirSync(disks) : []) {
      if (!name.endsWith(".img")) await discardDisk(join(disks, `${name}.img`), join(disks, name));
    }
    const namespaces = this.path("network", "namespaces", "mounts");
    await discardNamespaces((existsSync(namespaces) ? readdirSync(namespaces) : []).map((name) => join(namespaces, name)));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Why the runtime cannot be tested on this host; undefined where it can. */
export async function unusable(options: LocalOptions): Promise<string | undefined> {
  const scratch = new Scratch();
  try {
    return (await scratch.open(options)).traits.unavailable;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await scratch.remove();
  }
}
