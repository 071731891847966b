import { type BackendConfig, type Config, type Logger, nearest, type Op, SandboxerError, type Telemetry } from "../contract/index.ts";
import type { Prices, Sealer } from "../guard/index.ts";
import type { Ledger } from "../ledger/index.ts";
import type { Activity } from "./activity.ts";
import { type Backend, opened } from "./backends.ts";
import type { Clock } from "./clock.ts";
import type { Failpoint } from "./failpoints.ts";
import type { Inventory } from "./inventory/inventory.ts";
import type { LiveWork } from "./live-work.ts";
import type { Measure } from "./measure.ts";
import type { BoundaryLink } from "./network/link.ts";
import type { OneAtATime } from "./one-at-a-time.ts";
import type { Gates } from "./routing/gates.ts";
import type { PolicyLink } from "./policy/link.ts";
import type { ShippedProfile } from "./shipped-profiles.ts";

/** A data directory of a fleet: its local runtime's sandboxes can be reached from its own control planes alone. */
export interface FleetHost {
  /** The data directory's id. */
  readonly id: string;
  readonly name: string;
  /** Where its API is reached, for those who ask elsewhere; null where it does not say. */
  readonly address: string | null;
}

/** What every verb works with. */
export interface Context {
  readonly ledger: Ledger;
  readonly backends: readonly Backend[];
  readonly config: Config;
  readonly log: Logger;
  /** This process's own id: what it works on carries it as owner. */
  readonly instance: string;
  readonly clock: Clock;
  /** This host, where the ledger is shared with others; else null. */
  readonly host: FleetHost | null;
  readonly failpoint: (name: Failpoint) => void;
  readonly telemetry: Telemetry;
  readonly live: LiveWork;
  readonly activity: Activity;
  readonly measure: Measure;
  readonly shipped: readonly ShippedProfile[];
  /** What stands before each backend: its breaker and its create rate. */
  readonly gates: Gates;
  /** Hosts that became backends while servers run. */
  readonly inventory: Inventory;
  /** Makes a backend of what the inventory says; undefined where this engine takes none. */
  readonly prepare: ((config: BackendConfig) => Promise<Backend>) | undefined;
  readonly boundary: BoundaryLink;
  readonly policy: PolicyLink;
  /** Takes the boundary's verdicts into the ledger. */
  readonly ingestion: OneAtATime;
  /** What the configured backends cost. */
  readonly prices: Prices;
  /** Opens the store of secrets on the first call. Throws `secret_unavailable` where its key cannot be used. */
  readonly sealer: () => Sealer;
}

/** For calls that nobody takes back. A new one each time: a shared one would collect every signal that is derived from it. */
export function neverAborted(): AbortSignal {
  return new AbortController().signal;
}

export function op(ctx: Context, signal: AbortSignal = neverAborted()): Op {
  const traceparent = ctx.telemetry.traceparent();
  return { signal, log: ctx.log, ...(traceparent === undefined ? {} : { traceparent }) };
}

/** A configured backend by name. A sandbox may outlive its backend's configuration: then `no_backend`. */
export function backendOf(ctx: Context, name: string): Backend {
  const backend = ctx.backends.find((candidate) => candidate.name === name);
  if (backend !== undefined) return backend;
  const near = nearest(
    name,
    ctx.backends.map((candidate) => candidate.name),
  );
  throw new SandboxerError("no_backend", `backend "${name}" is not configured${near === undefined ? "" : `; nearest: "${near}"`}`, {
    backend: name,
  });
}

export function providerOf(ctx: Context, name: string) {
  return opened(backendOf(ctx, name));
}

/** The host by which sandboxes are picked: null where there is no fleet. */
export function hostOf(ctx: Context): string | null {
  return ctx.host?.id ?? null;
}

/** Who alone reaches what is made at that backend; null: every control plane does. */
export function hostFor(ctx: Context, backend: string): string | null {
  return ctx.backends.find(({ name }) => name === backend)?.onThisHost === true ? hostOf(ctx) : null;
}

/** Whether rows about that backend must survive a power cut. */
export function durability(ctx: Context, backend: string): { durable: boolean } {
  return { durable: ctx.backends.find(({ name }) => name === backend)?.onThisHost !== true };
}
