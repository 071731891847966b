import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger, Principal } from "../../contract/index.ts";
import type { Engine } from "../../engine/engine.ts";
import type { ServerLimits } from "../limits.ts";

/** The port of E2B's own agent inside a sandbox. What is sent there, this door answers itself. */
export const ENVD_PORT = 49_983;

/** What this door says of itself: the SDK chooses by it what it may ask for, from 0.6.4 on everything. */
export const ENVD_VERSION = "0.6.4";

/** The tokens that hold for one sandbox each. They are computed, not stored, so they survive restarts and pauses. */
export interface Tokens {
  /** For commands and files: `X-Access-Token`, and what file URLs are signed with. */
  envd(sandboxId: string): string;
  /** For ports: `e2b-traffic-access-token`. */
  traffic(sandboxId: string): string;
  /** Whether `presented` is the sandbox's token, in a time that does not depend on it. */
  verify(kind: "envd" | "traffic", sandboxId: string, presented: string): boolean;
}

/** What both planes of the E2B door work with. */
export interface E2bContext {
  readonly engine: Engine;
  readonly log: Logger;
  readonly limits: ServerLimits;
  readonly tokens: Tokens;
  /** What sandboxes' host names end in, with a port: `<port>-<id>.<domain>`. */
  domain(): string;
  /** Of the first TCP listener; 0 while there is none. */
  serverPort(): number;
}

/** One request to the data plane, whose sandbox was found and whose caller may use it. */
export interface DataCall {
  readonly requestId: string;
  readonly sandboxId: string;
  /** Of the sandbox's own tenant; reads and writes. */
  readonly who: Principal;
  readonly request: Request;
  /** Aborted when the client goes away before its answer is complete, or when the server closes. */
  readonly signal: AbortSignal;
  /** Node's own objects where a listener took the request; of HTTP/2 through its compatibility API. */
  readonly incoming?: IncomingMessage;
  readonly outgoing?: ServerResponse;
  /** Breaks the connection (of HTTP/2: the stream) off, so that a torn answer does not look complete. */
  destroy(): void;
}
