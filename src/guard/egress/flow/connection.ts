import type { Socket } from "node:net";
import type { NetworkVerdict } from "../../../contract/network.ts";
import { type Decision, EgressRefusal, type Inspection, type Target } from "../inspect/types.ts";
import { type ConnectionDecision, canonicalHost, isAddress } from "../policy/index.ts";
import type { Session } from "../session/session.ts";
import { deny } from "./deny.ts";
import { greeted } from "./greeting.ts";
import { Inlet } from "./inlet.ts";
import { hostOf, type Opening, peek } from "./peek.ts";
import { splice } from "./splice.ts";

/** How long a client may be silent before a server that speaks first is let speak (ssh, smtp). Milliseconds. */
const SILENCE_MS = 300;
/** How long one may be silent that is not let wait for a server, before it is told: TLS and HTTP begin at once. Milliseconds. */
const DENIED_SILENCE_MS = 5000;
const NOTHING = Buffer.alloc(0);

/** A connection from inside whose destination is known: the name or address that was dialled, CONNECTed to or asked of SOCKS. */
export interface Arrival {
  readonly socket: Socket;
  readonly destination: Target;
  readonly via: NetworkVerdict["via"];
  /** Bytes that were read already. */
  readonly head: Buffer;
  /** Of a probe of our own: answered like any other, but not written down. */
  readonly unrecorded?: () => boolean;
}

interface Hold {
  /** Who is called when it may not go on. */
  readonly take: (closer: (refusal: EgressRefusal) => void) => void;
  readonly release: () => void;
}

interface Joined {
  readonly upstream: Socket;
  readonly inlet?: Inlet;
  readonly head: Buffer;
  readonly held: Hold;
  /** What the server had said before. */
  readonly bytesDown?: number;
}

/** Takes a connection to its end: looks at its first bytes, asks the policy, and splices it, hands it to inspection or denies it. */
export class Connection {
  readonly #session: Session;
  readonly #inspection: Inspection;
  readonly #arrival: Arrival;
  readonly #began = performance.now();

  constructor(session: Session, inspection: Inspection, arrival: Arrival) {
    this.#session = session;
    this.#inspection = inspection;
    this.#arrival = arrival;
  }

  async run(): Promise<void> {
    const { socket, destination, head } = this.#arrival;
    // An address that no rule names may still be that of a name which one does: the connection has to say of which.
    const known = !isAddress(destination.host) || this.#session.decideConnection({ ...destination, protocol: "any" }).reason !== "no_rule";
    const raw = known ? this.#session.decideConnection({ ...destination, protocol: "tcp" }).verdict !== "deny" : false;
    const opening = await peek(socket, head, { wholeHead: !known, silenceMs: raw ? SILENCE_MS : DENIED_SILENCE_MS });
    if (opening.kind === "gone") return void socket.destroy();
    if (opening.kind === "silent" && raw) return this.#serverFirst();
    if (opening.kind === "silent") return this.#silent();
    return this.#decided(opening, known);
  }

  /** Nobody may speak first here: denied by the policy, or waited for in vain. */
  #silent(): void {
    const { destination } = this.#arrival;
    this.#denied("tcp", destination, this.#session.decideConnection({ ...destination, protocol: "tcp" }));
  }

  async #decided(opening: Exclude<Opening, { kind: "gone" | "silent" }>, known: boolean): Promise<void> {
    if (opening.kind === "bad")
      return this.#denied(
        "tcp",
        this.#arrival.destination,
        refusal("protocol", "its first bytes are no ClientHello or request that can be read"),
      );
    const { destination } = this.#arrival;
    const target = known ? destination : { host: named(opening) ?? destination.host, port: destination.port };
    const fault = opening.kind === "tls" ? this.#nameFault(opening, target) : null;
    if (fault !== null) return this.#denied("tls", target, fault);
    const decision = this.#session.decideConnection({ ...target, protocol: opening.kind });
    if (decision.verdict === "deny") return this.#denied(opening.kind, target, decision);
    if (opening.kind !== "tcp" && decision.inspect) return this.#inspect(opening.kind, opening.bytes, target);
    if (opening.kind === "tls" && opening.hello.encrypted) {
      return this.#denied(
        "tls",
        target,
        refusal("no_server_name", "its server name is encrypted (ECH); switch that off, or ask for tls: inspect"),
      );
    }
    return this.#through(opening.kind === "tls" ? "tls" : "tcp", target, decision, opening.bytes);
  }

  /** What is wrong with a ClientHello's name, for a target that is a name; an address is allowed as such and needs none. */
  #nameFault({ hello }: Extract<Opening, { kind: "tls" }>, { host }: Target): Decision | null {
    if (
      isAddress(host) &&
      this.#session.decideConnection({ host, port: this.#arrival.destination.port, protocol: "any" }).reason !== "no_rule"
    )
      return null;
    if (hello.serverName === null) return refusal("no_server_name", `the TLS connection to ${host} names no server`);
    const name = canonicalHost(hello.serverName);
    if (name === undefined || isAddress(name)) return refusal("bad_name", "the TLS connection's server name is no host name");
    return name === host ? null : refusal("name_mismatch", `the TLS connection goes to ${host} and names ${name}`);
  }

  #inspect(kind: "tls" | "http", bytes: Buffer, target: Target): void {
    const { socket, via } = this.#arrival;
    if (socket.destroyed) return;
    socket.unshift(bytes);
    this.#inspection.serve({ client: socket, kind, target, via });
  }

  async #through(protocol: "tls" | "tcp", target: Target, decision: ConnectionDecision, head: Buffer): Promise<void> {
    const held = this.#hold(target, protocol);
    const inlet = new Inlet();
    let upstream: Socket;
    try {
      upstream = await this.#session.dial(target, inlet.onread);
    } catch (thrown) {
      held.release();
      return this.#denied(protocol, target, asDecision(thrown));
    }
    return this.#join(protocol, target, decision, { upstream, inlet, head, held });
  }

  /** From the decision on a change of policy closes it, also while it is still being dialled. */
  #hold(target: Target, protocol: "tls" | "tcp"): Hold {
    const { socket } = this.#arrival;
    let changed: EgressRefusal | null = null;
    let close: (refusal: EgressRefusal) => void = () => void socket.resetAndDestroy();
    const untrack = this.#session.trackConnection({ ...target, protocol }, (refusal) => {
      changed = refusal;
      close(refusal);
    });
    const take = (closer: (refusal: EgressRefusal) => void): void => {
      close = closer;
      if (changed !== null) closer(changed);
    };
    return { release: untrack, take };
  }

  async #join(
    protocol: "tls" | "tcp",
    target: Target,
    decision: Decision,
    { upstream, inlet, head, held, bytesDown: before = 0 }: Joined,
  ): Promise<void> {
    const { socket } = this.#arrival;
    const address = upstream.remoteAddress ?? null;
    const { bytesUp, bytesDown, refusal } = await splice({
      client: socket,
      upstream,
      inlet,
      head,
      flow: this.#session.flow,
      onCloser: held.take,
    });
    held.release();
    const ended = refusal === null ? decision : { ...decision, verdict: "deny" as const, reason: refusal.reason, detail: refusal.message };
    this.#record(protocol, target, ended, { address, bytes_up: bytesUp, bytes_down: before + bytesDown });
  }

  /** The client waits for the server: that is dialled, and the client's first bytes are still looked at before they pass. */
  async #serverFirst(): Promise<void> {
    const { socket, destination } = this.#arrival;
    const decision = this.#session.decideConnection({ ...destination, protocol: "tcp" });
    const held = this.#hold(destination, "tcp");
    let upstream: Socket;
    try {
      upstream = await this.#session.dial(destination);
    } catch (thrown) {
      held.release();
      return this.#denied("tcp", destination, asDecision(thrown));
    }
    const { opening, bytesDown } = await greeted(socket, upstream, this.#session.flow);
    if (opening.kind === "tcp" || opening.kind === "gone" || opening.kind === "silent") {
      const head = opening.kind === "tcp" ? opening.bytes : NOTHING;
      return this.#join("tcp", destination, decision, { upstream, head, held, bytesDown });
    }
    upstream.destroy();
    held.release();
    // The server had said nothing: the connection was only slow to begin, and that other one goes unused.
    if (bytesDown === 0) return this.#decided(opening, true);
    this.#denied("tcp", destination, refusal("protocol", "it began TLS or HTTP after the server had spoken"));
  }

  #denied(kind: "tls" | "http" | "tcp", target: Target, decision: Decision): void {
    deny(this.#arrival.socket, kind, decision);
    this.#record(kind, target, decision, {});
  }

  #record(
    protocol: "tls" | "http" | "tcp",
    { host, port }: Target,
    { verdict, rule, reason, detail }: Decision,
    moved: { address?: string | null; bytes_up?: number; bytes_down?: number },
  ): void {
    if (this.#arrival.unrecorded?.() === true) return;
    const none = { address: null, method: null, path: null, secret: null, bytes_up: 0, bytes_down: 0 };
    const ms = Math.round((performance.now() - this.#began) * 10) / 10;
    this.#session.record({ protocol, via: this.#arrival.via, host, port, verdict, rule, reason, detail, ...none, ...moved, ms });
  }
}

function named(opening: Exclude<Opening, { kind: "gone" | "silent" | "bad" }>): string | undefined {
  if (opening.kind === "tls") return canonicalHost(opening.hello.serverName ?? "");
  return opening.kind === "http" ? canonicalHost(hostOf(opening.head ?? "") ?? "") : undefined;
}

function refusal(reason: NonNullable<Decision["reason"]>, detail: string): Decision {
  return { verdict: "deny", rule: null, reason, detail };
}

function asDecision(thrown: unknown): Decision {
  if (thrown instanceof EgressRefusal) return refusal(thrown.reason, thrown.message);
  return refusal("error", thrown instanceof Error ? thrown.message : String(thrown));
}
