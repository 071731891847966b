import { type ErrorCode, SandboxerError } from "../../contract/index.ts";
import { type Backend, traitsOf } from "../backends.ts";
import type { Clock } from "../clock.ts";
import { Breaker } from "./breaker.ts";
import { Pace } from "./pace.ts";

const DEFAULT_MAX_WAIT_MS = 2000;

/**
 * What says that a backend cannot give sandboxes now. Not what is ours (a quota, a full ledger), and not what the same request would
 * meet again anywhere.
 */
const ACQUISITION_FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["backend_unavailable", "backend_rate_limited", "timeout"]);

/** Leave to make a sandbox at a backend, after `waitMs`. Whoever has one must settle it. */
export interface Admission {
  readonly backend: string;
  readonly waitMs: number;
  /** Why it is not the one that the ranking put first; undefined where it is. */
  readonly instead: string | undefined;
  acquired(): void;
  /** Says whether the failure was the backend's. */
  failed(error: SandboxerError): boolean;
  /** It was not used, or how it ended says nothing about the backend. */
  released(options?: { unused: boolean }): void;
}

export interface Gate {
  readonly breaker: Breaker;
  readonly pace: Pace;
}

/** What stands before each backend: its breaker and its create rate. */
export class Gates {
  readonly #gates = new Map<string, Gate>();
  readonly #make: (backend: Backend) => Gate;
  /** A create that would wait longer goes elsewhere if it may. */
  readonly maxWaitMs: number;

  constructor(
    backends: readonly Backend[],
    clock: Clock,
    { maxWaitSeconds, rates = {} }: { maxWaitSeconds?: number | undefined; rates?: Readonly<Record<string, number | undefined>> },
  ) {
    const now = () => clock.ticks();
    this.maxWaitMs = maxWaitSeconds === undefined ? DEFAULT_MAX_WAIT_MS : maxWaitSeconds * 1000;
    this.#make = (backend) => {
      const rate = () => rates[backend.name] ?? traitsOf(backend).limits.create_rate_per_s;
      return { breaker: new Breaker(now), pace: new Pace(rate, now) };
    };
    for (const backend of backends) this.add(backend);
  }

  /** One that came while this engine runs; what was known of another one of its name is forgotten. */
  add(backend: Backend): void {
    this.#gates.set(backend.name, this.#make(backend));
  }

  of(backend: string): Gate {
    const gate = this.#gates.get(backend);
    if (gate === undefined) throw new SandboxerError("internal", `there is no gate for backend "${backend}"`);
    return gate;
  }

  /**
   * Takes leave at the first that may be used without a long wait, else at the one with the shortest. Nothing happens between look and
   * take, so two creates never get the same turn.
   *
   * @throws SandboxerError `backend_unavailable` where every breaker is open, `backend_rate_limited` where every wait is longer than
   * `patienceMs`, both with the time after which it is worth trying again.
   */
  admit(ranked: readonly string[], patienceMs: number): Admission {
    const usable = ranked.filter((name) => ["closed", "half_open"].includes(this.of(name).breaker.state));
    if (usable.length === 0) throw this.#broken(ranked);
    const waits = usable.map((name) => this.of(name).pace.waitMs);
    const soon = waits.findIndex((wait) => wait <= this.maxWaitMs);
    const index = soon >= 0 ? soon : waits.indexOf(Math.min(...waits));
    const [backend, wait] = [usable[index] ?? "", waits[index] ?? 0];
    if (wait > Math.max(patienceMs, this.maxWaitMs))
      throw new SandboxerError("backend_rate_limited", `creates come faster than ${usable.join(", ")} may be asked`, {
        phase: "route",
        backend,
        retry_after: Math.ceil(wait / 1000),
      });
    return this.#take(backend, this.#why(ranked, backend));
  }

  #broken(ranked: readonly string[]): SandboxerError {
    const soonest = Math.min(...ranked.map((name) => this.of(name).breaker.retryAfterMs));
    return new SandboxerError("backend_unavailable", `${ranked.join(", ")} failed too often of late and is left alone for a while`, {
      phase: "route",
      retry_after: Math.max(1, Math.ceil(soonest / 1000)),
    });
  }

  #why(ranked: readonly string[], backend: string): string | undefined {
    const [first] = ranked;
    if (first === undefined || first === backend) return undefined;
    const { breaker, pace } = this.of(first);
    if (breaker.state === "open" || breaker.state === "probing") return `${first} is left alone after failures`;
    return `${first} has a queue of ${(pace.waitMs / 1000).toFixed(1)} s for its create rate`;
  }

  #take(backend: string, instead: string | undefined): Admission {
    const { breaker, pace } = this.of(backend);
    const admitted = breaker.admit();
    if (admitted === undefined) throw new SandboxerError("internal", `backend "${backend}" was admitted with an open breaker`);
    return {
      backend,
      waitMs: pace.take(),
      instead,
      acquired: () => breaker.succeeded(admitted),
      failed(error) {
        if (!ACQUISITION_FAILURES.has(error.code)) {
          breaker.released(admitted);
          return false;
        }
        breaker.failed(admitted);
        if (error.code === "backend_rate_limited") pace.hold((error.details.retry_after ?? 1) * 1000);
        return true;
      },
      released({ unused } = { unused: false }) {
        breaker.released(admitted);
        if (unused) pace.giveBack();
      },
    };
  }
}
