import {
  type Boundary,
  type Config,
  type Logger,
  newId,
  NO_TELEMETRY,
  type Principal,
  SandboxerError,
  type Telemetry,
} from "../contract/index.ts";
import type { Prices, Sealer } from "../guard/index.ts";
import type { Ledger, SandboxRow } from "../ledger/index.ts";
import { endableSandbox } from "./access.ts";
import { Activity } from "./activity.ts";
import { audit } from "./audit.ts";
import type { Backend } from "./backends.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Context, FleetHost } from "./context.ts";
import type { Engine } from "./engine.ts";
import { exec } from "./exec.ts";
import type { Failpoint } from "./failpoints.ts";
import { files } from "./files.ts";
import { fleet } from "./fleet.ts";
import { fleetClock } from "./fleet-clock.ts";
import { backendInfos } from "./backend-infos.ts";
import { health, metrics } from "./health.ts";
import { leaseMs, registerInstance, renewLease, unregisterInstance } from "./instances.ts";
import type { Courier } from "./hub/index.ts";
import { hubVerbs } from "./hub-verbs.ts";
import { keys } from "./keys.ts";
import { LiveWork } from "./live-work.ts";
import { Measure } from "./measure.ts";
import { accounts } from "./money/accounts.ts";
import { books } from "./money/books.ts";
import { budgets } from "./money/budgets.ts";
import { withCost } from "./money/cost.ts";
import { BoundaryLink } from "./network/link.ts";
import { network } from "./network/network.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { pause, resume } from "./pause.ts";
import { guarded } from "./policy/gate.ts";
import { PolicyLink } from "./policy/link.ts";
import { policy } from "./policy/policy.ts";
import { ports } from "./ports.ts";
import { processes } from "./processes.ts";
import { services } from "./services.ts";
import { profiles } from "./profiles.ts";
import { provision } from "./provision.ts";
import { events, get, list, usage } from "./read.ts";
import { renew, touch } from "./renew.ts";
import { explainRoute } from "./explain.ts";
import { Gates } from "./routing/gates.ts";
import { saveMeasurements } from "./routing/keep.ts";
import { projects } from "./projects.ts";
import { quotas } from "./quotas.ts";
import { secrets } from "./secrets.ts";
import type { ShippedProfile } from "./shipped-profiles.ts";
import { Sweeper } from "./sweeper.ts";
import { endSandbox } from "./teardown.ts";
import { tenants } from "./tenants.ts";
import { toSandbox } from "./view.ts";

const DEFAULT_SWEEP_SECONDS = 10;

export interface EngineOptions {
  /** Open; `close()` of the engine does not close it. */
  readonly ledger: Ledger;
  /** From `openBackends`; `close()` disposes of them. */
  readonly backends: readonly Backend[];
  readonly config: Config;
  readonly log: Logger;
  /** From `loadShippedProfiles`. */
  readonly shippedProfiles: readonly ShippedProfile[];
  /** This process's id in the ledger; a new one unless given. */
  readonly instance?: string;
  readonly clock?: Clock;
  /** This host, where the ledger is shared with others. */
  readonly host?: FleetHost;
  /** Connects to the boundary, and starts it where none runs. Called when a sandbox with egress first needs it; without it none can be made. */
  readonly boundary?: () => Promise<Boundary>;
  /** Called at every step named in `FAILPOINTS`. */
  readonly failpoint?: (name: Failpoint) => void;
  /** Opens the store of secrets, when one is first needed; without it secrets are refused. */
  readonly sealer?: () => Sealer;
  /** Where traces go; nowhere unless given. */
  readonly telemetry?: Telemetry;
  /** What the backends cost; unknown without it. */
  readonly prices?: Prices;
  /** Whether to start the sweep and reap timers (true). A short-lived process beside a server needs none. */
  readonly background?: boolean;
}

async function makeContext(options: EngineOptions): Promise<Context> {
  const {
    ledger,
    backends,
    config,
    log,
    shippedProfiles,
    instance = newId("instance"),
    host = null,
    boundary,
    failpoint = () => {},
    sealer = noStore,
    telemetry = NO_TELEMETRY,
    prices = { of: () => null },
  } = options;
  const clock = options.clock ?? (ledger.shared ? await fleetClock(ledger, systemClock()) : systemClock());
  const ctx: Context = {
    ledger, backends, config, log, instance, clock, host, failpoint, sealer, prices, telemetry,
    live: new LiveWork(), activity: new Activity(ledger, clock), measure: new Measure(() => clock.now()), shipped: shippedProfiles,
    boundary: new BoundaryLink(boundary), ingestion: new OneAtATime(), policy: new PolicyLink(ledger),
    gates: new Gates(backends, clock, {
      maxWaitSeconds: config.routing?.max_queue_wait,
      rates: Object.fromEntries((config.backends ?? []).map((backend) => [backend.name, backend.create_rate_per_s])),
    }),
  }; // prettier-ignore
  await writable(ctx, "this instance", () => registerInstance(ctx));
  return ctx;
}

function noStore(): Sealer {
  throw new SandboxerError("secret_unavailable", "this engine was opened without a store of secrets", { phase: "key" });
}

/** Does what a read-only ledger or a full disk must not stop: ending sandboxes goes on without it. */
async function writable(ctx: Context, what: string, work: () => Promise<void>): Promise<void> {
  if (ctx.ledger.readOnly !== null)
    return ctx.log.error({ why: ctx.ledger.readOnly }, "the ledger is read-only: nothing can be created, ending sandboxes works");
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof SandboxerError) || thrown.code !== "storage_unavailable") throw thrown;
    ctx.log.error({ error: thrown.message }, `${what} could not be written to the ledger`);
  }
}

/** Keeps the lease of this process, also where it does not sweep: others would take over what it is in the middle of. */
function startHeart(ctx: Context): NodeJS.Timeout {
  const beat = () => writable(ctx, "the lease", async () => {
    await renewLease(ctx);
    await ctx.clock.sync?.();
  }).catch((thrown: unknown) => ctx.log.error({ error: String(thrown) }, "the lease could not be renewed")); // prettier-ignore
  return setInterval(() => ctx.live.background(beat()), leaseMs(ctx) / 3).unref();
}

/** An admin's hand on what is another tenant's. */
function auditForeignEnd(ctx: Context, who: Principal, { id, tenant }: SandboxRow): Promise<void> {
  const act = { action: "sandbox.destroyed", at: ctx.clock.now(), target: id, detail: { tenant } };
  return ctx.ledger.transaction((tx) => audit(tx, who, act));
}

/** Tells events to webhooks from now on, in a process that stays. */
async function startCourier(ctx: Context): Promise<Courier> {
  const { Courier } = await import("./hub/index.ts");
  return new Courier(ctx);
}

/** The engine over an open ledger and opened backends. Call `sweep({adopt: true})` once to take over what an earlier process left. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const ctx = await makeContext(options);
  const sweeper = new Sweeper(ctx);
  const interval = options.background === false ? null : (ctx.config.sweep_interval ?? DEFAULT_SWEEP_SECONDS);
  if (interval !== null) sweeper.start(interval);
  const heart = ctx.ledger.shared ? startHeart(ctx) : undefined;
  const courier = interval === null || ctx.ledger.readOnly !== null ? null : startCourier(ctx);
  const { source, webhooks, audit: auditLog } = hubVerbs(ctx);
  let closing: Promise<void> | null = null;

  async function close(): Promise<void> {
    clearInterval(heart);
    await Promise.all([sweeper.stop(), courier?.then((started) => started.stop())]);
    await ctx.live.settled();
    await writable(ctx, "the last figures", async () => {
      await ctx.activity.flush();
      await saveMeasurements(ctx);
      await unregisterInstance(ctx);
    });
    await ctx.boundary.close();
    for (const backend of ctx.backends) await backend.provider?.dispose?.();
  }

  return guarded(ctx, {
    create: (who, request, createOptions) =>
      ctx.telemetry.span("sandbox.create", { tenant: who.tenant }, () => provision(ctx, who, request, createOptions)),
    get: (who, id) => get(ctx, who, id),
    list: (who, query) => list(ctx, who, query),
    usage: (who, id) => usage(ctx, who, id),
    renew: (who, id, request) => renew(ctx, who, id, request),
    touch: (who, id) => touch(ctx, who, id),
    pause: (who, id, request) => pause(ctx, who, id, request),
    resume: (who, id) => resume(ctx, who, id),
    async destroy(who, id, reason = "user") {
      const row = await endableSandbox(ctx, who, id);
      if (row.tenant !== who.tenant) await writable(ctx, "who ends another tenant's sandbox", () => auditForeignEnd(ctx, who, row));
      return ctx.telemetry.span("sandbox.destroy", { "sandbox.id": id, backend: row.backend, reason }, async () =>
        withCost(ctx, toSandbox(await endSandbox(ctx, row, { reason, detail: null }))),
      );
    },
    exec: (who, id, input, signal) => exec(ctx, who, id, input, signal),
    processes: processes(ctx),
    services: services(ctx),
    files: files(ctx),
    network: network(ctx),
    ports: ports(ctx),
    profiles: profiles(ctx),
    events: events(ctx, source),
    keys: keys(ctx),
    secrets: secrets(ctx),
    webhooks,
    audit: auditLog,
    budgets: budgets(ctx),
    accounts: accounts(ctx),
    money: books(ctx),
    tenants: tenants(ctx),
    projects: projects(ctx),
    quotas: quotas(ctx),
    policy: policy(ctx),
    backends: () => backendInfos(ctx),
    route: (who, request) => explainRoute(ctx, who, request),
    sweep: ({ adopt = false } = {}) => sweeper.sweep(adopt),
    fleet: (who) => fleet(ctx, who),
    health: () => health(ctx, sweeper, interval),
    metrics: () => metrics(ctx, sweeper),
    close: () => (closing ??= close()),
  });
}
