import type { Capability, Provider, SandboxSpec } from "../contract/index.ts";

/** A provider under test and how to let go of it. */
export interface Opened {
  readonly provider: Provider;
  readonly dispose: () => Promise<void>;
}

export interface ConformanceOptions {
  /** Stands in every case's name. */
  readonly name: string;
  /** Called once a case. Give back a shared provider with an empty `dispose` where opening costs much. */
  open(): Promise<Opened>;
  /** The same provider with credentials that its backend refuses. Without it that one case is left out. */
  openWithBadCredentials?(): Promise<Opened>;
  /** Fields of the spec that the backend needs otherwise, such as its image. */
  readonly spec?: Partial<SandboxSpec>;
  /**
   * A shell line that serves the files of its working directory by HTTP on that port of the sandbox's loopback until it is killed, for a
   * provider with `ports`. Perl's unless given.
   */
  readonly server?: (port: number) => string;
  /** A shell line that counts from 1, a number a line every 20 ms, until it is killed. A POSIX loop unless given. */
  readonly counter?: string;
  /** Bytes of the large output; 100 MB unless given. */
  readonly outputBytes?: number;
  /** Bytes of the large file; 64 MiB unless given. */
  readonly fileBytes?: number;
  /** Multiplies every wait: more for a backend far away, less for one in memory. 1 unless given. */
  readonly pace?: number;
}

/** One test. `run` rejects where the provider does not keep the contract. */
export interface ConformanceCase {
  readonly name: string;
  /** What it is about; where the provider does not declare it, `run` checks that its use is refused. */
  readonly capability?: Capability;
  readonly run: () => Promise<void>;
}
