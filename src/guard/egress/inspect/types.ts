import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { BoundSecret, DenyReason, NetworkVerdict, SecretBinding } from "../../../contract/network.ts";

/** Where a connection or request goes: the host in canonical form (a name, or an IPv4 address), and the port. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What one request asks for. The path is the one that will be sent upstream, normalised, without the query. */
export interface RequestQuestion extends Target {
  readonly scheme: "http" | "https";
  readonly method: string;
  readonly path: string;
  /** It asks to become a WebSocket. */
  readonly websocket: boolean;
}

/** What the policy says to a question. `reason` and `detail` are null unless it is `deny`. */
export interface Decision {
  readonly verdict: "allow" | "deny" | "audit";
  readonly rule: string | null;
  readonly reason: DenyReason | null;
  /** The reason in words, with what to ask for. Goes to the agent. */
  readonly detail: string | null;
}

/** What `dial` and `flow` throw where the policy or a limit says no; anything else that they throw is reason `error`. */
export class EgressRefusal extends Error {
  override readonly name = "EgressRefusal";
  readonly reason: DenyReason;

  constructor(reason: DenyReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** What inspection says of one request, or of a connection that never became one. The boundary adds seq, at and sandbox_id. */
export type InspectedVerdict = Omit<NetworkVerdict, "seq" | "at" | "sandbox_id">;

/** One sandbox as inspection sees it. Everything is asked anew for every request, so a change applies to the next one. */
export interface LiveSession {
  readonly id: string;
  /** Open without a byte either way for this long: the connection is ended. Milliseconds. */
  idleMs(): number;
  /** Pure matching on the policy as it is now. Must cover host and port too: a proxy's connection may ask for another host each time. */
  decide(question: RequestQuestion): Decision;
  /** Secrets whose binding fits host, port, method and path. Never asked for plain http. */
  secretsFor(question: RequestQuestion): readonly BoundSecret[];
  /** All secrets of this sandbox, also those that fit nothing here. */
  placeholders(): readonly BoundSecret[];
  /**
   * Resolves, checks every address, dials the one it checked. The socket is connected, nothing read or written.
   *
   * @throws EgressRefusal `address_forbidden`, `limit`; any other error where the host cannot be reached.
   */
  dial(target: Target): Promise<Socket>;
  /**
   * Told of each piece that moves on behalf of a request, before it is passed on. A promise means: wait for it (bandwidth).
   *
   * @throws EgressRefusal `limit` (or rejects with it) where the sandbox's bytes are used up; the request is ended.
   */
  flow(direction: "up" | "down", bytes: number): Promise<void> | undefined;
  /** One for every request, when it has ended; one for a connection that failed before a request could be read. */
  record(verdict: InspectedVerdict): void;
  /** A placeholder was where it may not be; null: one of another sandbox, or revoked. Called after the verdict. */
  onViolation(binding: SecretBinding | null): void;
  /**
   * A request (or WebSocket) that has been let through is open. `close` ends it, both sides; the boundary calls it when the policy
   * no longer allows the question. Returns what is called when it has ended.
   */
  track(question: RequestQuestion, close: (refusal: EgressRefusal) => void): () => void;
}

/** One stream whose content is looked into. */
export interface Inspected {
  /** Bytes from the sandbox, nothing consumed: a peeked head is put back with `unshift`. A `net.Socket` is fastest. */
  readonly client: Duplex;
  /** tls: a ClientHello comes first. http: a request line. */
  readonly kind: "tls" | "http";
  /**
   * The name that was dialled, CONNECTed to or sent as SNI, already allowed at connection level. null only for `via: "proxy"`
   * and kind http: each request then names its own in absolute form.
   */
  readonly target: Target | null;
  readonly via: NetworkVerdict["via"];
}

/** A sandbox's own CA. The key never leaves the boundary's process but sealed. */
export interface Authority {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface InspectorOptions {
  /** PEM certificates that upstream servers may be signed by, beside the system's; undefined: the system's alone. */
  readonly upstreamCa?: string;
}

/** One a process: reads the CAs that upstream is checked against once, for all sandboxes. */
export interface Inspector {
  open(session: LiveSession, authority: Authority): Inspection;
}

/** Inspection for one sandbox: its leaf certificates and its connections upstream. */
export interface Inspection {
  /** Takes the stream over, to its end; never throws: what goes wrong is answered, recorded and closed. */
  serve(connection: Inspected): void;
  /** Ends all of its connections, both sides. Safe to repeat. */
  close(): void;
}
