import { mkdtempSync, rmSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import type { BackendConfig, Config, Logger, Principal } from "../../src/contract/index.ts";
import type { Backend, Clock, Engine, EngineOptions } from "../../src/engine/index.ts";
import { createEngine, dataDirectoryId, loadShippedProfiles, openBackends } from "../../src/engine/index.ts";
import { pricesOf } from "../../src/guard/index.ts";
import { type Ledger, openLedger } from "../../src/ledger/index.ts";
import type { MemoryBoundary } from "../support/memory-boundary.ts";
import networkedFake from "../support/networked-fake.ts";
import fake, { FakeControl } from "../../src/providers/fake/index.ts";

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export const OWNER: Principal = { tenant: "acme", key_id: null, scopes: ["read", "write"] };
export const STRANGER: Principal = { tenant: "other", key_id: null, scopes: ["read", "write"] };
export const ADMIN: Principal = { tenant: "default", key_id: null, scopes: ["read", "write", "admin"] };

/** Both clocks by hand: `pass` lets time pass, `set` only sets the wall clock. */
export class HandClock implements Clock {
  readonly bootId = "boot-1";
  #wall = Date.now();
  #up = 1_000_000;
  now = (): number => this.#wall;
  uptime = (): number => this.#up;
  ticks = (): number => this.#up;
  pass(ms: number): void {
    this.#wall += ms;
    this.#up += ms;
  }
  set(ms: number): void {
    this.#wall += ms;
  }
}

/** An engine over fake backends in a directory of its own. */
export interface Bench extends AsyncDisposable {
  readonly engine: Engine;
  readonly ledger: Ledger;
  readonly backends: Backend[];
  readonly directory: string;
  readonly clock: HandClock;
  /** The handle on a fake backend's faults. */
  control(name?: string): FakeControl;
  /** Another engine over the same ledger file and the same backends, as a second process would be. */
  second(options?: Partial<EngineOptions>): Promise<Engine>;
}

export interface BenchOptions {
  readonly config?: Config;
  readonly engine?: Partial<EngineOptions>;
  /** Options of the fake backends by name; one called "fake" unless given. */
  readonly fakes?: Readonly<Record<string, object>>;
  /** What the configuration says of the fake backends beside their options: price, region and so on. */
  readonly backends?: Readonly<Record<string, Omit<Partial<BackendConfig>, "name" | "provider" | "options">>>;
  /** The fake backends then have egress, through it. */
  readonly boundary?: MemoryBoundary;
}

/** A bench in a directory of its own, which goes away with it. */
export async function openBench(options: BenchOptions = {}): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-engine-"));
  chmodSync(directory, 0o711);
  return openBenchIn(directory, options);
}

export async function openBenchIn(
  directory: string,
  { config = {}, engine: engineOptions = {}, fakes = { fake: {} }, backends: more = {}, boundary }: BenchOptions = {},
): Promise<Bench> {
  const controls = new Map(Object.keys(fakes).map((name) => [name, new FakeControl()]));
  const configured: Config = {
    ...config,
    backends: Object.entries(fakes).map(([name, options]) => ({
      name,
      provider: boundary === undefined ? "fake" : "networked-fake",
      options: { isolation: "container", control: controls.get(name), ...options },
      ...more[name],
    })),
  };
  const ledgers = [openLedger(directory)];
  const backends = await openBackends(configured, directory, {
    builtIn: { fake, "networked-fake": networkedFake },
    instance: dataDirectoryId(directory),
    log: silent,
  });
  const clock = new HandClock();
  const shippedProfiles = loadShippedProfiles("profiles", (text) => parseYaml(text));
  const open = (ledger: Ledger, extra: Partial<EngineOptions>) =>
    createEngine({
      ledger,
      backends,
      config: configured,
      log: silent,
      shippedProfiles,
      clock,
      background: false,
      prices: pricesOf(configured.backends ?? [], () => []),
      ...(boundary === undefined ? {} : { boundary: async () => boundary }),
      ...extra,
    });
  const [ledger] = ledgers as [Ledger];
  const engines = [await open(ledger, engineOptions)];
  return {
    engine: engines[0] as Engine,
    ledger,
    backends,
    directory,
    clock,
    control(name = "fake") {
      const found = controls.get(name);
      if (found === undefined) throw new Error(`no fake backend "${name}"`);
      return found;
    },
    async second(extra = {}) {
      const own = openLedger(directory);
      ledgers.push(own);
      const engine = await open(own, extra);
      engines.push(engine);
      return engine;
    },
    async [Symbol.asyncDispose]() {
      for (const engine of engines) await engine.close();
      for (const one of ledgers) await one.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs a shell line to its end. */
export async function run(
  engine: Engine,
  who: Principal,
  id: string,
  shell: string,
): Promise<{ outcome: string; exitCode: number | null; stdout: string }> {
  const { events } = await engine.exec(who, id, { shell, stdin: { kind: "none" }, maxOutputBytes: 1 << 20 });
  let stdout = "";
  for await (const event of events) {
    if (event.type === "stdout") stdout += new TextDecoder().decode(event.data);
    if (event.type === "exited") return { outcome: event.outcome, exitCode: event.exitCode, stdout };
  }
  throw new Error("the stream had no end");
}

/** Types of a sandbox's events in order. */
export async function trail(engine: Engine, id: string): Promise<string[]> {
  return (await engine.events.list(ADMIN, { sandboxId: id, limit: 1000 })).data.map(({ type }) => type);
}
