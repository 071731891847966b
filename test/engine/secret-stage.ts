import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import {
  type BoundSecret,
  type Boundary,
  type Config,
  newId,
  NO_TELEMETRY,
  type Principal,
  SandboxerError,
} from "../../src/contract/index.ts";
import { Activity } from "../../src/engine/activity.ts";
import type { Context } from "../../src/engine/context.ts";
import type { Engine } from "../../src/engine/index.ts";
import { Inventory } from "../../src/engine/inventory/inventory.ts";
import { LiveWork } from "../../src/engine/live-work.ts";
import { Measure } from "../../src/engine/measure.ts";
import { Gates } from "../../src/engine/routing/gates.ts";
import { OneAtATime } from "../../src/engine/one-at-a-time.ts";
import { PolicyLink } from "../../src/engine/policy/link.ts";
import { BoundaryLink } from "../../src/engine/network/link.ts";
import { resolveSecrets } from "../../src/engine/secret-binding.ts";
import { openSealer } from "../../src/guard/index.ts";
import { insertSandboxSecrets } from "../../src/ledger/index.ts";
import { openBenchIn, silent } from "./bench.ts";

/** What a boundary was told last of each sandbox. `down`: it does not answer. `hold` lets a test stand between two calls. */
class Told implements Pick<Boundary, "secrets" | "sessions" | "close"> {
  readonly of = new Map<string, readonly BoundSecret[]>();
  readonly unknown = new Set<string>();
  down = false;
  hold: () => Promise<void> = () => Promise.resolve();
  async secrets(id: string, secrets: readonly BoundSecret[]): Promise<void> {
    await this.hold();
    if (this.down) throw new SandboxerError("backend_unavailable", "the boundary does not answer");
    if (this.unknown.has(id)) throw new SandboxerError("sandbox_not_found", `there is no session of ${id}`);
    this.of.set(id, structuredClone(secrets));
  }
  sessions = (): Promise<[]> => Promise.resolve([]);
  close = (): Promise<void> => Promise.resolve();
}

export interface Stage {
  readonly directory: string;
  readonly ctx: Context;
  readonly engine: Engine;
  readonly told: Told;
  /** Stores a profile with these secrets, and makes a sandbox's row and bindings as a create does, for a sandbox. */
  readonly sandbox: (
    who: Principal,
    secrets: unknown[],
    options?: { storedBy?: Principal },
  ) => Promise<{ id: string; secrets: Awaited<ReturnType<typeof resolveSecrets>> }>;
}

let made = 0;

/** An engine over a real ledger and a real store, and its inner context, in a directory of its own. */
export async function openStage(config: Config = {}): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-secrets-"));
  chmodSync(directory, 0o711);
  const told = new Told();
  const sealer = () => openSealer(directory, {});
  const boundary = () => Promise.resolve(told as unknown as Boundary);
  const bench = await openBenchIn(directory, { config, engine: { sealer, boundary } });
  onTestFinished(() => bench[Symbol.asyncDispose]());
  const { engine, ledger, backends, clock } = bench;
  const ctx: Context = {
    ledger, backends, config, log: silent, instance: newId("instance"), clock, host: null, failpoint: () => {}, live: new LiveWork(),
    activity: new Activity(ledger, clock), measure: new Measure(() => clock.now()), shipped: [], sealer, boundary: new BoundaryLink(boundary),
    ingestion: new OneAtATime(), telemetry: NO_TELEMETRY, policy: new PolicyLink(ledger), prices: { of: () => null },
    gates: new Gates(backends, clock, {}), prepare: undefined,
    inventory: new Inventory({ ledger, backends: [...backends], gates: new Gates(backends, clock, {}), prepare: undefined, log: silent }),
  }; // prettier-ignore
  return {
    directory, ctx, engine, told,
    async sandbox(who, secrets, { storedBy = who } = {}) {
      const document = { kind: "profile", name: `p${++made}`, version: 1, secrets };
      const { profile } = await engine.profiles.apply({ ...storedBy, tenant: who.tenant }, document);
      const resolved = await resolveSecrets(ctx, who, profile, secrets as never, new AbortController().signal);
      const { sandbox } = await engine.create(who, {}, {});
      await ledger.transaction((tx) => insertSandboxSecrets(tx, resolved.rows(sandbox.id)));
      return { id: sandbox.id, secrets: resolved };
    },
  }; // prettier-ignore
}

/** A profile's secret in its shortest form. */
export function binding(name: string, source: object | string, inject: object = {}, expose?: object): unknown {
  return { name, source, inject: { type: "bearer", hosts: ["api.test"], ...inject }, ...(expose === undefined ? {} : { expose }) };
}
