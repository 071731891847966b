import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import type { Logger } from "../../contract/index.ts";
import type { Probed } from "./probe.ts";
import { missingPrograms } from "./network/probe.ts";
import type { Runtime, RuntimeName } from "./runtime.ts";

/**
 * What was seen to work, kept until the next boot, or until a runtime's program or the control groups' mounts change. What did not work is
 * kept for a while only: whoever repairs it should see that soon, and trying costs.
 */
export interface ProbeResults {
  readonly probed: readonly Probed[];
  /** Whether disk images can be mounted. */
  readonly disks?: boolean;
  /** Whether sandboxes can stand on images. */
  readonly overlays?: boolean;
}

/** Part of the key: what a probe looks at has changed when this does. */
const FORM = 3;

const FAILURES_KEPT_MS = 60_000;

/** Longer: a runtime that works but for egress stays so, mostly, and whoever installs a program changes the key. */
const EGRESS_FAILURES_KEPT_MS = 3_600_000;

export class ProbeCache {
  readonly #file: string;
  readonly #key: string;
  readonly #found: ReadonlyMap<RuntimeName, Runtime | undefined>;
  #results: ProbeResults = { probed: [] };

  constructor(file: string, found: ReadonlyMap<RuntimeName, Runtime | undefined>) {
    this.#file = file;
    this.#found = found;
    this.#key = keyOf(found);
    try {
      const kept = JSON.parse(readFileSync(file, "utf8")) as { key: string; at: number; results: ProbeResults };
      const age = Date.now() - kept.at;
      const holds = ({ works, withoutEgress }: Probed): boolean =>
        works ? withoutEgress === undefined || age < EGRESS_FAILURES_KEPT_MS : age < FAILURES_KEPT_MS;
      if (kept.key === this.#key) this.#results = { ...kept.results, probed: kept.results.probed.filter(holds) };
    } catch {
      // Not there, or cut short by a crash: probing again is always right.
    }
  }

  /** With its state where that is now: the data directory may have been moved. */
  runtime(name: RuntimeName): Probed | undefined {
    const known = this.#results.probed.find((one) => one.name === name);
    const runtime = this.#found.get(name);
    if (known?.runtime === undefined || runtime === undefined) return known;
    return { ...known, runtime: { ...known.runtime, root: runtime.root } };
  }

  get disks(): true | undefined {
    return this.#results.disks === true ? true : undefined;
  }

  get overlays(): true | undefined {
    return this.#results.overlays === true ? true : undefined;
  }

  /** A disk that cannot be written costs the next start a probe, and nothing else. */
  keep(results: ProbeResults, log: Logger): void {
    try {
      writeFileSync(`${this.#file}.${process.pid}`, JSON.stringify({ key: this.#key, at: Date.now(), results }), { mode: 0o600 });
      renameSync(`${this.#file}.${process.pid}`, this.#file);
    } catch (error) {
      log.warn({ error: String(error) }, "what was probed of this host could not be kept");
    }
  }
}

function keyOf(found: ReadonlyMap<RuntimeName, Runtime | undefined>): string {
  const programs = [...found.values()].map((runtime) => {
    if (runtime === undefined) return null;
    const { mtimeMs, size } = statSync(runtime.program);
    return [runtime.program, mtimeMs, size];
  });
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n").filter((line) => / - cgroup2? /.test(line)).length; // prettier-ignore
  return JSON.stringify([FORM, boot, release(), process.getuid?.(), mounts, programs, missingPrograms()]);
}
