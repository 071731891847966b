import type { Duplex } from "node:stream";
import type { z } from "zod";
import type { Usage } from "./api.ts";
import type { Capability, IsolationLevel, Limits, Support } from "./capability.ts";
import type { Outcome } from "./exec.ts";
import type { FileEvent, FileInfo } from "./files.ts";
import type { Logger } from "./logger.ts";
import type { EgressInside } from "./network.ts";
import type { Beside } from "./beside.ts";
import type { Processes } from "./background.ts";
import type { Services } from "./services.ts";

/** What goes with every call to a provider. */
export interface Op {
  /** Aborted when the caller goes away or its deadline passes; the provider stops and leaves nothing half-made. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** W3C trace context of the call, for a provider that asks others over HTTP; absent where nothing is traced. */
  readonly traceparent?: string;
}

/** What to make. Everything in it is enforced, or `create` throws. */
export interface SandboxSpec {
  /** The engine's id: `create` is idempotent on it, and it is the label on every object. */
  readonly id: string;
  readonly tenant: string;
  readonly generation: number;
  readonly image: string;
  /** A name of the image's or `uid[:gid]`; the provider's default user unless given. */
  readonly user?: string;
  /** What runs beside it and ends with it. */
  readonly services?: Services;
  readonly hostname: string;
  readonly env: Readonly<Record<string, string>>;
  readonly resources: {
    readonly cpu: number;
    readonly memoryBytes: number;
    readonly diskBytes: number;
    readonly inodes: number;
    readonly pids: number;
  };
  readonly isolationMin: IsolationLevel;
  readonly allowPtrace: boolean;
  /** Epoch ms at which the backend itself ends it, with nobody watching (`max_life`). */
  readonly maxLifeAt: number;
  /** The user's own labels. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Given where the sandbox may reach something: it then has a network namespace that the boundary can be attached to. None: no network. */
  readonly egress?: EgressInside;
}

/** A handle to one sandbox at one backend. Plain data: it is stored in the ledger and must outlive this process. */
export interface Ref {
  readonly id: string;
  readonly tenant: string;
  readonly generation: number;
  /** The backend's own name for it. */
  readonly native: string;
  /** Epoch ms: the deadline on its label. */
  readonly maxLifeAt: number;
}

/**
 * An entry of `list`. A provider that knows without another call whether it runs, and does not stand still, says so, and saves the sweep
 * an `inspect`.
 */
export interface Listed extends Ref {
  readonly running?: boolean;
}

/** What `create` answers once commands can run. */
export interface Created {
  readonly ref: Ref;
  /** What was verified by looking, not what was asked. Must be at least `spec.isolationMin`. */
  readonly isolation: { readonly level: IsolationLevel; readonly runtime: string; readonly notes: readonly string[] };
}

export interface Command {
  /** The engine's id of this exec or process. */
  readonly id: string;
  readonly run: { readonly argv: readonly string[] } | { readonly shell: string };
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  /** Ends the whole process tree after this many milliseconds. */
  readonly timeoutMs?: number;
}

/** Standard input of an exec: nothing (/dev/null), some bytes and then end of file, or a stream of them. */
export type Stdin =
  | { readonly kind: "none" }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "pipe"; readonly stream: AsyncIterable<Uint8Array> };

/** How a command ended, as far as the backend saw it. */
export interface End {
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly oomKilled: boolean;
  readonly truncated: boolean;
}

export type ExecEvent =
  | { readonly type: "started" }
  | { readonly type: "stdout"; readonly data: Uint8Array }
  | { readonly type: "stderr"; readonly data: Uint8Array }
  | ({ readonly type: "exited" } & End);

export interface ExecOptions {
  readonly stdin: Stdin;
  /** Bytes over stdout and stderr together; what comes after is read, dropped, and flagged `truncated`. */
  readonly maxOutputBytes: number;
}

/** What a backend says of a sandbox now. */
export interface Observed {
  readonly state: "running" | "paused" | "suspended" | "stopped";
  /** Where it stopped by itself: why, as far as the backend knows. */
  readonly stoppedBecause?: "expired" | "oom" | "exited" | "unknown";
  readonly usage: Usage;
}

export interface WatchOptions {
  readonly recursive: boolean;
  readonly onArmed?: () => void;
}

/** Paths are text in the form of contract/path; relative ones start at the workspace. All happens inside the sandbox's confinement. */
export interface Files {
  read(
    ref: Ref,
    path: string,
    range: { offset?: number; length?: number },
    op: Op,
  ): Promise<{ info: FileInfo; body: AsyncIterable<Uint8Array> }>;
  /** Replaces the file whole or not at all; parents are made. */
  write(ref: Ref, path: string, body: AsyncIterable<Uint8Array>, options: { mode?: number }, op: Op): Promise<FileInfo>;
  list(ref: Ref, path: string, options: { depth: number }, op: Op): Promise<FileInfo[]>;
  /** Of the path itself: a symlink is not followed. */
  stat(ref: Ref, path: string, op: Op): Promise<FileInfo>;
  mkdir(ref: Ref, path: string, options: { parents: boolean; mode?: number }, op: Op): Promise<void>;
  rename(ref: Ref, from: string, to: string, options: { replace: boolean }, op: Op): Promise<void>;
  remove(ref: Ref, path: string, options: { recursive: boolean }, op: Op): Promise<void>;
  chmod(ref: Ref, path: string, mode: number, op: Op): Promise<void>;
  /** Ends when the signal aborts. Calls `onArmed` once: what happens before may be missed, what happens after is not. */
  watch(ref: Ref, path: string, options: WatchOptions, op: Op): AsyncIterable<FileEvent>;
  /** The directory or file as an uncompressed tar, names relative to it. */
  exportTree(ref: Ref, path: string, op: Op): AsyncIterable<Uint8Array>;
  /** Unpacks a tar into the directory, inside the sandbox, as its user. */
  importTree(ref: Ref, path: string, tar: AsyncIterable<Uint8Array>, op: Op): Promise<void>;
}

/** Reaching servers inside. */
export interface Ports {
  /** A connection to a TCP port on the sandbox's loopback. Throws `not_found` where nothing listens there. */
  connect(ref: Ref, port: number, op: Op): Promise<Duplex>;
}

/** Standing still with memory and processes. Where it has this, capability `pause.memory`. */
export interface Pause {
  /** Resolves once nothing in it runs any more; commands under way go on after the resume. Safe to repeat. */
  readonly pause: (ref: Ref, op: Op) => Promise<void>;
  /** Safe to repeat, and where it was never paused. */
  readonly resume: (ref: Ref, op: Op) => Promise<void>;
}

/** Keeping the disk alone. Where it has this, capability `pause.disk`. */
export interface Suspend {
  /** Ends every process and lets go of all but the disk, of one that runs, is paused, or has stopped by itself. Safe to repeat. */
  readonly suspend: (ref: Ref, op: Op) => Promise<void>;
  /** Makes it run again on its disk, under the same handle and as confined as a create does. A disk that is gone is an empty one. */
  readonly wake: (ref: Ref, op: Op) => Promise<Created>;
}

/** Egress through the boundary of this host. */
export interface EgressNetwork {
  /** Path of the sandbox's network namespace, as setns(2) takes it. Throws `sandbox_not_found` where it is gone. */
  namespace(ref: Ref, op: Op): Promise<string>;
}

/** What a backend is and can do. */
export interface Traits {
  /** Strongest last. Empty where nothing works; then `unavailable` says why. */
  readonly isolation: readonly { readonly level: IsolationLevel; readonly runtime: string; readonly notes: readonly string[] }[];
  readonly capabilities: Readonly<Partial<Record<Capability, Exclude<Support, "none">>>>;
  readonly limits: Limits;
  /** Where it keeps what it is given: `eu`, `eu-west-1`. Absent: not known, which no demand for a region accepts. */
  readonly region?: string;
  /** Whether its machines are the operator's own. Absent: not known, which counts as no. */
  readonly selfHosted?: boolean;
  readonly unavailable?: string;
}

/** What a backend has metered of one stay, from its create to its end. Only what it really says. */
export interface Metered {
  readonly vcpu_seconds?: number;
  readonly mem_mib_seconds?: number;
  /** What it bills. */
  readonly micro_usd?: number;
}

/**
 * A place where sandboxes run. Every method throws `SandboxerError` with the code that fits (`backend_auth`,
 * `backend_unavailable`, `sandbox_not_found`, ...), never answers empty for what it could not read.
 */
export interface Provider {
  readonly traits: Traits;
  /** Idempotent on `spec.id`, also from twenty callers at once. On an error or abort nothing is left, or it throws `ambiguous_create`. */
  create(spec: SandboxSpec, op: Op): Promise<Created>;
  /** Ends with `exited`, or throws. A caller that stops iterating, or aborts, kills the command's tree. */
  exec(ref: Ref, command: Command, options: ExecOptions, op: Op): AsyncIterable<ExecEvent>;
  /** Resolves when it is confirmed; safe to repeat and to call many times at once. */
  destroy(ref: Ref, op: Op): Promise<"destroyed" | "absent">;
  /** Everything with our label, half-made things too. */
  list(op: Op): AsyncIterable<Listed>;
  inspect(ref: Ref, op: Op): Promise<Observed | "absent">;
  readonly processes?: Processes;
  readonly files?: Files;
  readonly ports?: Ports;
  readonly network?: EgressNetwork;
  readonly beside?: Beside;
  readonly pause?: Pause;
  readonly suspend?: Suspend;
  /** After a restart of the control plane: ends what a foreground exec left running (the engine settles it as `unknown`). */
  abandonExec?(ref: Ref, execId: string, op: Op): Promise<void>;
  /** Its own figures of a stay that is over; null: none yet, ask again later. Where it has this, capability `usage.metered`. */
  metered?(ref: Pick<Ref, "id" | "tenant" | "generation">, op: Op): Promise<Metered | null>;
  /** Regular work beside the hot path: refill prepared things, empty the bin. Called by the sweeper. */
  maintain?(op: Op): Promise<void>;
  dispose?(): Promise<void>;
}

/** What `open` is given. */
export interface OpenContext {
  /** The backend's name in the configuration. */
  readonly backend: string;
  /** A directory of the provider's own, which exists and is private to this sand-boxer instance. */
  readonly directory: string;
  /** Names this data directory among others on the same host: goes into every label. */
  readonly instance: string;
  readonly log: Logger;
  /** False in a process that ends after one command: little is worth preparing in it for work to come. */
  readonly stays?: boolean;
  /** Names a step for tests that kill the process there; does nothing otherwise. */
  readonly failpoint: (name: string) => void;
}

/** What a provider's module exports as default. */
export interface ProviderModule<Options = unknown> {
  readonly name: string;
  readonly options: z.ZodType<Options>;
  /**
   * Of a provider that comes with sand-boxer: its sandboxes are on other machines. They outlive a power cut of this one, and every control plane of
   * a fleet reaches the same ones. Without it they are on this host.
   */
  remote?(options: Options): boolean;
  open(options: Options, context: OpenContext): Promise<Provider>;
}

/** Types the options by their schema. Importing a provider has no side effects; `open` has them all. */
export function defineProvider<Schema extends z.ZodType>(module: {
  readonly name: string;
  readonly options: Schema;
  remote?(options: z.infer<Schema>): boolean;
  open(options: z.infer<Schema>, context: OpenContext): Promise<Provider>;
}): ProviderModule<z.infer<Schema>> {
  return module as ProviderModule<z.infer<Schema>>;
}
