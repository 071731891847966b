import type { OnReadOpts, Socket } from "node:net";
import type { BoundSecret, DenyReason, EgressPolicy, EgressSession, NetworkVerdict, SecretBinding } from "../../../contract/network.ts";
import type { Dialler } from "../dial/dialler.ts";
import type { Names } from "../dns/names.ts";
import type { EgressRefusal, InspectedVerdict, LiveSession, RequestQuestion, Target } from "../inspect/types.ts";
import { type ConnectionDecision, type ConnectionQuestion, decide, decideConnection, hostMatches, pathMatches } from "../policy/index.ts";
import { Meter } from "./meter.ts";
import { OpenConnections } from "./open-connections.ts";

/** What of a session outlives its policy: counted over its whole life, kept over a restart. */
export interface Counters {
  readonly seq: number;
  readonly up: number;
  readonly down: number;
  /** A violation has ended its egress; that holds over a restart. */
  readonly halted?: boolean;
}

export interface SessionParts {
  readonly dialler: Dialler;
  readonly names: Names;
  readonly counters: Counters;
  /** Where verdicts go. */
  readonly journal: { append(verdict: NetworkVerdict): void };
  /** Writes down that nothing passes any more, before that is so. */
  readonly onHalt?: () => void;
}

/** One sandbox while the process lives: its policy and secrets as they are now, what it has open, and what it has moved. */
export class Session implements LiveSession {
  readonly id: string;
  readonly names: Names;
  readonly open = new OpenConnections();
  readonly meter: Meter;
  readonly flow;
  #policy: EgressPolicy;
  #secrets: readonly BoundSecret[];
  #seq: number;
  #halted: boolean;
  readonly #parts: SessionParts;

  constructor({ id, policy, secrets }: EgressSession, parts: SessionParts) {
    this.id = id;
    this.#policy = policy;
    this.#secrets = secrets;
    this.#parts = parts;
    this.#seq = parts.counters.seq;
    this.#halted = parts.counters.halted ?? false;
    this.names = parts.names;
    this.meter = new Meter(policy.limits, parts.counters);
    this.flow = this.meter.flow;
  }

  get policy(): EgressPolicy {
    return this.#policy;
  }

  get counters(): Counters {
    return { up: this.meter.moved.up, down: this.meter.moved.down, seq: this.#seq, ...(this.#halted ? { halted: true } : {}) };
  }

  /** Applies at once; answers how many connections it closed. */
  setPolicy(policy: EgressPolicy): number {
    this.#policy = policy;
    this.meter.limits = policy.limits;
    this.open.setIdle(policy.limits.idleMs);
    return this.open.review();
  }

  /** How many connections a policy would close. Nothing changes. */
  wouldClose(policy: EgressPolicy): number {
    const now = this.#policy;
    this.#policy = policy;
    try {
      return this.open.faults();
    } finally {
      this.#policy = now;
    }
  }

  setSecrets(secrets: readonly BoundSecret[]): void {
    this.#secrets = secrets;
    this.open.review();
  }

  idleMs(): number {
    return this.#policy.limits.idleMs;
  }

  decide(question: RequestQuestion) {
    return this.#halted ? HALTED : decide(this.#policy, question);
  }

  /** As the policy says; a host that a secret is bound to is looked into, since a secret cannot be put in otherwise. */
  decideConnection(question: ConnectionQuestion): ConnectionDecision {
    if (this.#halted) return { ...HALTED, inspect: false };
    const decision = decideConnection(this.#policy, question);
    if (decision.verdict === "deny" || decision.inspect || !this.#secrets.some(({ binding }) => bindsTarget(binding, question)))
      return decision;
    if (question.protocol !== "tcp") return { ...decision, inspect: true };
    const detail = `a secret is bound to ${question.host}:${question.port}, where only TLS and HTTP may go`;
    return { verdict: "deny", rule: decision.rule, reason: "secret_needs_inspect", detail, inspect: false };
  }

  secretsFor(question: RequestQuestion): readonly BoundSecret[] {
    return this.#secrets.filter(({ binding }) => bindsTarget(binding, question) && bindsRequest(binding, question));
  }

  placeholders(): readonly BoundSecret[] {
    return this.#secrets;
  }

  async dial(target: Target, onread?: OnReadOpts): Promise<Socket> {
    const socket = await this.#parts.dialler.dial(target, (address) => this.#addressFault(address, target.port), onread);
    const address = socket.remoteAddress ?? "";
    const release = this.open.hold({
      fault: () => this.#addressFault(address, target.port),
      close: (refusal) => socket.destroy(refusal),
    });
    socket.once("close", release);
    return socket;
  }

  /** What a connection's or request's question comes to now, for the time that it is open. */
  track(question: RequestQuestion, close: (refusal: EgressRefusal) => void): () => void {
    return this.open.hold({ fault: () => faultOf(this.decide(question)), close });
  }

  trackConnection(question: ConnectionQuestion, close: (refusal: EgressRefusal) => void): () => void {
    return this.open.hold({
      fault: () => {
        const decision = this.decideConnection(question);
        return faultOf(decision) ?? (decision.inspect ? `what goes to ${question.host}:${question.port} is now looked into` : null);
      },
      close,
    });
  }

  record(verdict: InspectedVerdict): void {
    this.#seq += 1;
    this.#parts.journal.append({ seq: this.#seq, at: new Date().toISOString(), sandbox_id: this.id, ...verdict });
  }

  /** A name that was asked for; `reason` is null where it was answered. */
  recordName(name: string, reason: DenyReason | null): void {
    const verdict = reason === null ? (this.#policy.mode === "audit" ? "audit" : "allow") : "deny";
    const detail = reason === "no_rule" ? `no rule allows ${name}; ask for {host: ${name}} in network.allow` : reason === "bad_name" ? "it is not a host's name" : reason === "limit" ? "the sandbox has asked for too many names" : null; // prettier-ignore
    const none = { address: null, method: null, path: null, rule: null, secret: null, bytes_up: 0, bytes_down: 0, ms: 0 };
    this.record({ protocol: "dns", via: "dns", host: name, port: 53, verdict, reason, detail, ...none });
  }

  onViolation(binding: SecretBinding | null): void {
    if (binding?.onViolation === "terminate") this.halt();
  }

  /** Nothing passes any more; the engine, which reads why in the verdict, ends the sandbox. */
  halt(): void {
    this.#halted = true;
    this.#parts.onHalt?.();
    this.open.end("a secret's placeholder was where it may not be");
  }

  #addressFault(address: string, port: number): string | null {
    return this.#parts.dialler.fault(this.#policy, address, port);
  }
}

const HALTED = {
  verdict: "deny", rule: null, reason: "placeholder", detail: "the sandbox is being ended: a secret's placeholder was where it may not be",
} as const; // prettier-ignore

function faultOf({ verdict, detail }: { readonly verdict: string; readonly detail: string | null }): string | null {
  return verdict === "deny" ? (detail ?? "no longer allowed") : null;
}

function bindsTarget({ hosts, ports }: SecretBinding, { host, port }: Target): boolean {
  return ports.includes(port) && hosts.some((pattern) => hostMatches(pattern, host));
}

function bindsRequest({ methods, paths }: SecretBinding, { method, path }: RequestQuestion): boolean {
  return (methods?.includes(method) ?? true) && (paths?.some((pattern) => pathMatches(pattern, path)) ?? true);
}
