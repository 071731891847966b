import { parse as parseYaml } from "yaml";
import { describe, expect, it } from "vitest";
import type { Config } from "../../src/contract/index.ts";
import { type Clock, createEngine, dataDirectoryId, loadShippedProfiles, openBackends, systemClock } from "../../src/engine/index.ts";
import { openLedger } from "../../src/ledger/index.ts";
import local from "../../src/providers/local/index.ts";
import { exactly, hostObjects, sandboxProcesses } from "../support/host-objects.ts";
import { dataDirectory, localConfig, OWNER, removeDataDirectory, runCommand } from "../support/local-engine.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const DAY_MS = 86_400_000;

/** The machine's clocks, where the wall clock can be set and time can be made to pass. */
class SetClock implements Clock {
  readonly #real = systemClock();
  readonly bootId = this.#real.bootId;
  #set = 0;
  #passed = 0;
  now = (): number => this.#real.now() + this.#set + this.#passed;
  uptime = (): number => this.#real.uptime() + this.#passed;
  ticks = (): number => this.#real.ticks() + this.#passed;
  set(ms: number): void {
    this.#set += ms;
  }
  pass(ms: number): void {
    this.#passed += ms;
  }
}

describe("case 76: the wall clock jumps", () => {
  it.each([["ahead", DAY_MS], ["back", -DAY_MS]])("a day %s: a sandbox neither ends nor outlives its ttl", async (_, by) => {
    const dataDir = dataDirectory("clock");
    const config: Config = localConfig();
    const ledger = openLedger(dataDir);
    const backends = await openBackends(config, dataDir, { builtIn: { local }, instance: dataDirectoryId(dataDir), log: silent });
    const clock = new SetClock();
    const shippedProfiles = loadShippedProfiles("profiles", (text) => parseYaml(text) as unknown);
    const engine = await createEngine({ ledger, backends, config, log: silent, shippedProfiles, clock, background: false });
    try {
      const { id } = (await engine.create(OWNER, { ttl: "10m", max_life: "1h" }, {})).sandbox;
      await engine.sweep();
      clock.set(by);
      expect((await engine.sweep()).ended).toEqual([]);
      expect(await runCommand(engine, OWNER, id, { shell: "echo alive" })).toMatchObject({ exitCode: 0, stdout: "alive\n" });
      expect(sandboxProcesses(dataDir, id).length).toBeGreaterThan(0);
      // The positive control: time that really passes ends it.
      clock.pass(601_000);
      expect((await engine.sweep()).ended).toEqual([{ id, reason: "expired" }]);
      const seen = hostObjects(dataDir);
      expect(seen).toEqual(exactly([], seen));
    } finally {
      await engine.close();
      await ledger.close();
      removeDataDirectory(dataDir);
    }
  });
}); // prettier-ignore
