import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type BoundSecret, type Boundary, type Config, newId, type Principal, SandboxerError } from "../../src/contract/index.ts";
import { Activity } from "../../src/engine/activity.ts";
import type { Context } from "../../src/engine/context.ts";
import { createEngine, type Engine } from "../../src/engine/index.ts";
import { LiveWork } from "../../src/engine/live-work.ts";
import { Measure } from "../../src/engine/measure.ts";
import { resolveSecrets } from "../../src/engine/secret-binding.ts";
import { openSealer } from "../../src/guard/index.ts";
import { insertSandbox, insertSandboxSecrets, openLedger, updateSandbox } from "../../src/ledger/index.ts";
import { HandClock, silent } from "./bench.ts";

/** What a boundary was told last of each sandbox. `down`: it does not answer. `hold` lets a test stand between two calls. */
class Told implements Pick<Boundary, "secrets"> {
  readonly of = new Map<string, readonly BoundSecret[]>();
  down = false;
  hold: () => Promise<void> = () => Promise.resolve();
  async secrets(id: string, secrets: readonly BoundSecret[]): Promise<void> {
    await this.hold();
    if (this.down) throw new SandboxerError("backend_unavailable", "the boundary does not answer");
    this.of.set(id, structuredClone(secrets));
  }
}

export interface Stage {
  readonly directory: string;
  readonly ctx: Context;
  readonly engine: Engine;
  readonly told: Told;
  /** Stores a profile with these secrets, and makes a sandbox's row and bindings as a create does. */
  readonly sandbox: (
    who: Principal,
    secrets: unknown[],
    options?: { storedBy?: Principal },
  ) => Promise<{ id: string; secrets: Awaited<ReturnType<typeof resolveSecrets>> }>;
  readonly end: (id: string) => Promise<void>;
}

let made = 0;

/** An engine over a real ledger and a real store, and its inner context, in a directory of its own. */
export async function openStage(config: Config = {}): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-secrets-"));
  chmodSync(directory, 0o711);
  const ledger = openLedger(directory);
  const told = new Told();
  const clock = new HandClock();
  const sealer = () => openSealer(directory, {});
  const boundary = told as unknown as Boundary;
  const engine = await createEngine({
    ledger,
    backends: [],
    config,
    log: silent,
    shippedProfiles: [],
    clock,
    background: false,
    sealer,
    boundary,
  });
  const ctx: Context = {
    ledger, backends: [], config, log: silent, instance: newId("instance"), clock, failpoint: () => {}, live: new LiveWork(),
    activity: new Activity(ledger, clock), measure: new Measure(), shipped: [], sealer, boundary,
  }; // prettier-ignore
  onTestFinished(async () => {
    await engine.close();
    await ledger.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    directory, ctx, engine, told,
    async sandbox(who, secrets, { storedBy = who } = {}) {
      const document = { kind: "profile", name: `p${++made}`, version: 1, secrets };
      const { profile } = await engine.profiles.apply({ ...storedBy, tenant: who.tenant }, document);
      const resolved = await resolveSecrets(ctx, who, profile, secrets as never, new AbortController().signal);
      const id = newId("sandbox");
      await ledger.transaction(async (tx) => {
        await insertSandbox(tx, {
          id, tenant: who.tenant, name: null, profile_name: profile.name, profile_version: 1, profile_digest: profile.digest, backend: "fake", ref: null, state: "ready",
          desired: "running", generation: 1, owner: null, isolation_min: "container", isolation_effective: null, runtime: null, isolation_notes: "[]", resources: "{}",
          narrowed: "[]", route: "{}", metadata: "{}", created_at: 1, ready_at: 1, last_active_at: 1, expires_at: 9, max_life_at: 9, idle_seconds: null, idle_at: null,
          ended_at: null, termination_reason: null, termination_detail: null, error_code: null, error_message: null, state_lost: 0,
        }, {});
        await insertSandboxSecrets(tx, resolved.rows(id));
      });
      return { id, secrets: resolved };
    },
    async end(id) {
      await ledger.transaction((tx) => updateSandbox(tx, id, { ended_at: 5 }));
    },
  }; // prettier-ignore
}

/** A profile's secret in its shortest form. */
export function binding(name: string, source: object | string, inject: object = {}, expose?: object): unknown {
  return { name, source, inject: { type: "bearer", hosts: ["api.test"], ...inject }, ...(expose === undefined ? {} : { expose }) };
}
