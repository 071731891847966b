import type { Duplex } from "node:stream";
import { SandboxerError } from "../../contract/index.ts";

/** What is used of the `dockerode` package, by shape: it is an optional peer, so nothing of it may be needed for our types. */
export interface Docker {
  readonly modem: { followProgress(stream: NodeJS.ReadableStream, done: (error: Error | null) => void): void };
  info(options?: CallOptions): Promise<EngineInfo>;
  version(
    options?: CallOptions,
  ): Promise<{ readonly Version: string; readonly ApiVersion: string; readonly Components?: readonly { readonly Name: string }[] }>;
  createContainer(options: object): Promise<Container>;
  getContainer(id: string): Container;
  getImage(reference: string): { inspect(options?: CallOptions): Promise<ImageInfo> };
  getExec(id: string): Exec;
  listContainers(options: object): Promise<readonly ContainerEntry[]>;
  createVolume(options: object): Promise<unknown>;
  listVolumes(options: object): Promise<{ readonly Volumes?: readonly { readonly Name: string }[] | null }>;
  getVolume(name: string): { remove(options: object): Promise<unknown> };
  pull(reference: string, options?: CallOptions): Promise<NodeJS.ReadableStream>;
}

interface CallOptions {
  readonly abortSignal?: AbortSignal;
}

export interface EngineInfo {
  readonly ID: string;
  readonly KernelVersion: string;
  readonly Driver: string;
  readonly DefaultRuntime?: string;
  readonly Runtimes?: Readonly<Record<string, { readonly path?: string }>>;
  readonly SecurityOptions?: readonly string[];
  readonly CgroupVersion?: string;
  readonly NCPU: number;
  readonly MemTotal: number;
}

export interface ImageInfo {
  readonly Id: string;
  readonly Config?: {
    readonly User?: string;
    readonly Env?: readonly string[] | null;
    readonly Labels?: Readonly<Record<string, string>> | null;
  };
}

export interface ContainerEntry {
  readonly Id: string;
  readonly State: string;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface ContainerInfo {
  readonly Id: string;
  readonly Config: { readonly Labels: Readonly<Record<string, string>> | null };
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly OOMKilled: boolean;
    readonly ExitCode: number;
    readonly Pid: number;
    readonly FinishedAt: string;
    readonly Health?: { readonly Status: string };
  };
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly ExecIDs: readonly string[] | null;
}

export interface ContainerStats {
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: { readonly usage?: number; readonly max_usage?: number };
  readonly pids_stats?: { readonly current?: number };
}

export interface Container {
  readonly id: string;
  start(options?: CallOptions): Promise<unknown>;
  pause(options?: CallOptions): Promise<unknown>;
  unpause(options?: CallOptions): Promise<unknown>;
  wait(options?: CallOptions): Promise<{ readonly StatusCode: number }>;
  commit(options: object): Promise<{ readonly Id: string }>;
  remove(options: object): Promise<unknown>;
  inspect(options?: CallOptions): Promise<ContainerInfo>;
  stats(options: object): Promise<ContainerStats>;
  /** A stream with `follow`. */
  logs(options: object): Promise<Buffer | (AsyncIterable<Uint8Array> & { destroy(): void })>;
  exec(options: object): Promise<Exec>;
}

export interface Exec {
  readonly id: string;
  start(options: object): Promise<Duplex>;
}

export const SDK_PACKAGE = "dockerode@^5.0.1";

/**
 * Loads the client, which is not among our own dependencies.
 *
 * @throws SandboxerError `provider_missing_dependency` where it is not installed.
 */
export async function loadSdk(): Promise<new (options: object) => Docker> {
  try {
    const { default: Dockerode } = (await import("dockerode")) as unknown as { default: new (options: object) => Docker };
    return Dockerode;
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND")) throw cause;
    throw new SandboxerError("provider_missing_dependency", "the provider docker needs the npm package dockerode, which is not installed", {
      phase: "open",
      hint: `Run: npm install ${SDK_PACKAGE}`,
      cause,
    });
  }
}
