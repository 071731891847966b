import { mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { type EgressInside, SandboxerError } from "../../../contract/index.ts";
import { type Netns, openNetns } from "../../../netns/index.ts";
import { type InsideMount, writeInside } from "./inside.ts";
import { namespaceInode } from "./namespace.ts";
import { NamespacePool, type NamespacePoolOptions } from "./pool.ts";
import { ensureTrust, type Trust } from "./trust.ts";

/** What a sandbox with egress is made with. */
export interface SandboxNetwork {
  /** Path of the mounted namespace; undefined where it comes from the sandbox's first process. */
  readonly namespace: string | undefined;
  readonly mounts: readonly InsideMount[];
}

/** The networks of this host's sandboxes. Costs nothing until one has egress or a port of one is reached. */
export class SandboxNetworks {
  readonly pool: NamespacePool;
  readonly netns: Netns;
  readonly #options: NamespacePoolOptions;
  #trust: Promise<Trust> | undefined;

  constructor(options: NamespacePoolOptions, netns: Netns = openNetns()) {
    this.#options = options;
    this.netns = netns;
    this.pool = new NamespacePool({ ...options, directory: join(options.directory, "namespaces") });
  }

  /** The same for a sandbox that is only tried: nothing is prepared because of it. */
  forTrial(): SandboxNetworks {
    return new SandboxNetworks({ ...this.#options, depth: 0 }, this.netns);
  }

  /** Writes what goes with the sandbox to `directory` and claims a namespace for a runtime that `joins` one: about 2 ms where one is prepared. */
  async prepare(sandboxId: string, directory: string, { caPem }: EgressInside, joins: boolean): Promise<SandboxNetwork> {
    const mounts = writeInside(await this.#common(), directory, caPem);
    return { mounts, namespace: joins ? await this.pool.claim(sandboxId) : undefined };
  }

  #common(): Promise<Trust> {
    if (this.#trust === undefined) {
      const { directory } = this.#options;
      const parent = join(directory, "trust");
      // The sandbox's own mounts lead there.
      for (const path of [directory, parent]) mkdirSync(path, { recursive: true, mode: 0o711 });
      this.#trust = ensureTrust(parent);
      // The next create tries again.
      this.#trust.catch(() => (this.#trust = undefined));
    }
    return this.#trust;
  }

  /** Path of the namespace of a sandbox with egress. Throws `sandbox_not_found` where it is gone, or it has none. */
  of(sandboxId: string): string {
    const namespace = this.pool.live().get(sandboxId);
    if (namespace === undefined) throw new SandboxerError("sandbox_not_found", `sandbox ${sandboxId} has no network namespace`);
    return namespace;
  }

  dispose(): void {
    this.netns.dispose();
  }
}

/** What the network of process `pid` lacks of what it should be; empty when all holds. Throws where /proc cannot be read. */
export function missingNetwork(pid: number, namespace: string): string[] {
  const missing: string[] = [];
  if (readlinkSync(`/proc/${pid}/ns/net`) !== `net:[${namespaceInode(namespace)}]`) missing.push("its network namespace");
  const devices = readFileSync(`/proc/${pid}/net/dev`, "utf8").split("\n").slice(2).map((line) => line.split(":")[0]?.trim()); // prettier-ignore
  if (devices.some((name) => name !== "" && name !== "lo")) missing.push("a network without devices");
  return missing;
}
