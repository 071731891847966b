import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { SandboxerError } from "../../contract/index.ts";

/** Where a fault can strike. `files`, `processes` and `ports` stand for every call of their group, `rest` for pause, resume, suspend and wake. */
export const OPERATIONS = ["create", "exec", "destroy", "list", "inspect", "files", "processes", "ports", "rest"] as const;
export type Operation = (typeof OPERATIONS)[number];

/**
 * What goes wrong. `slow` waits `delay_ms`; `fail`, `rate_limit` and `auth` do nothing and throw `backend_unavailable`,
 * `backend_rate_limited` and `backend_auth`; `ambiguous` does it and loses the answer (a create then throws
 * `ambiguous_create`, all others `backend_unavailable`); `lose` makes the sandbox vanish at the backend (after a
 * create, before any other operation; before a list all of them vanish); `cut` breaks the stream of an exec after its
 * first event, without saying how the command ended.
 */
export const FAULT_KINDS = ["slow", "fail", "ambiguous", "lose", "rate_limit", "auth", "cut"] as const;

export const Fault = z.strictObject({
  on: z.enum(OPERATIONS),
  kind: z.enum(FAULT_KINDS),
  times: z.int().min(1).optional().meta({ description: "How often it strikes; always unless given." }),
  after: z.int().min(0).optional().meta({ description: "Calls that pass before it strikes; 0 unless given." }),
  delay_ms: z.number().min(0).optional().meta({ description: "For slow; 1000 unless given." }),
});
export type Fault = z.infer<typeof Fault>;

/** What a call has to do beside its work, as the faults that strike it say. */
export interface Strike {
  lose: boolean;
  cut: boolean;
  /** Thrown once the work is done: the answer that got lost. */
  afterwards: SandboxerError | undefined;
}

interface Armed {
  readonly fault: Fault;
  seen: number;
  struck: number;
}

/** The faults of one backend, in the order they were given. Each counts its own calls. */
export class FaultPlan {
  #armed: Armed[] = [];

  add(fault: Fault): void {
    this.#armed.push({ fault: Fault.parse(fault), seen: 0, struck: 0 });
  }

  clear(on?: Operation): void {
    this.#armed = on === undefined ? [] : this.#armed.filter((armed) => armed.fault.on !== on);
  }

  /** Counts a call and lets the faults strike: waits, throws, or says what the call must do. Rejects when `signal` aborts. */
  async meet(on: Operation, signal: AbortSignal): Promise<Strike> {
    const strike: Strike = { lose: false, cut: false, afterwards: undefined };
    for (const fault of this.#due(on)) {
      switch (fault.kind) {
        case "slow":
          await sleep(fault.delay_ms ?? 1000, undefined, { signal });
          break;
        case "fail":
          throw new SandboxerError("backend_unavailable", `the fake backend was told to fail ${on}`, { phase: on });
        case "rate_limit":
          throw new SandboxerError("backend_rate_limited", `the fake backend was told to limit ${on}`, { phase: on, retry_after: 1 });
        case "auth":
          throw new SandboxerError("backend_auth", `the fake backend was told to refuse the credentials at ${on}`, { phase: on });
        case "ambiguous":
          strike.afterwards = new SandboxerError(
            on === "create" ? "ambiguous_create" : "backend_unavailable",
            `the fake backend was told to lose its answer to ${on}`,
            { phase: on },
          );
          break;
        case "lose":
          strike.lose = true;
          break;
        case "cut":
          strike.cut = true;
          break;
      }
    }
    return strike;
  }

  #due(on: Operation): Fault[] {
    const due: Fault[] = [];
    for (const armed of this.#armed) {
      if (armed.fault.on !== on) continue;
      armed.seen++;
      if (armed.seen <= (armed.fault.after ?? 0) || armed.struck >= (armed.fault.times ?? Infinity)) continue;
      armed.struck++;
      due.push(armed.fault);
    }
    return due;
  }
}
