import type { NetworkVerdict } from "../../../contract/network.ts";
import type { Asked, Framed } from "./question.ts";
import { type Refused, Violation } from "./refusal.ts";
import type { Decision, LiveSession } from "./types.ts";

/** What a request has come to so far; written down once, when it has ended. */
export class Outcome {
  asked: Asked | undefined;
  decision: Decision | undefined;
  address: string | null = null;
  secret: string | null = null;
  readonly #session: LiveSession;
  readonly #framed: Framed;
  readonly #began = performance.now();
  readonly #moved = { up: 0, down: 0 };
  #recorded = false;

  constructor(session: LiveSession, framed: Framed) {
    this.#session = session;
    this.#framed = framed;
  }

  /** Counts a piece for this request and for the session, which may say to wait. @throws EgressRefusal `limit` */
  flow(direction: "up" | "down", bytes: number): Promise<void> | undefined {
    this.#moved[direction] += bytes;
    return this.#session.flow(direction, bytes);
  }

  /** null: it was let through, and has ended. Later calls change nothing. */
  record(protocol: NetworkVerdict["protocol"], refused: Refused | null): void {
    if (this.#recorded) return;
    this.#recorded = true;
    const { target, via } = this.#framed;
    const question = this.asked?.question;
    const violation = refused instanceof Violation ? refused : null;
    this.#session.record({
      protocol,
      via,
      host: question?.host ?? target?.host ?? "",
      port: question?.port ?? target?.port ?? 0,
      address: this.address,
      method: question?.method ?? null,
      path: question?.path ?? null,
      verdict: refused === null ? (this.decision?.verdict ?? "allow") : "deny",
      rule: refused?.rule ?? this.decision?.rule ?? null,
      reason: refused?.reason ?? null,
      detail: refused?.message ?? this.decision?.detail ?? null,
      secret: violation === null ? this.secret : (violation.binding?.name ?? null),
      bytes_up: this.#moved.up,
      bytes_down: this.#moved.down,
      ms: Math.round((performance.now() - this.#began) * 10) / 10,
    });
    if (violation !== null) this.#session.onViolation(violation.binding);
  }
}

/** A stream of requests, or a request, that could not be read: nothing is known of it but where it led. */
export function recordUnread(
  session: LiveSession,
  framed: Framed,
  refused: Refused,
  protocol: NetworkVerdict["protocol"] = framed.scheme,
): void {
  new Outcome(session, framed).record(protocol, refused);
}
