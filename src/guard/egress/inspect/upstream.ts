import { Agent, type ClientRequestArgs } from "node:http";
import { isIPv4, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { Connections, FREE_MS, MAX_FREE, MAX_SOCKETS } from "./connections.ts";
import { Refused } from "./refusal.ts";
import type { LiveSession, Target } from "./types.ts";

const HANDSHAKE_MS = 30_000;

/** What upstream servers are checked against: the system's authorities, and the operator's. Read once a process. */
export function upstreamTrust(extraPem: string | undefined): SecureContext {
  const ca = getCACertificates("system");
  const known = ca.length > 0 ? ca : getCACertificates("bundled");
  return createSecureContext({ ca: extraPem === undefined ? known : [...known, extraPem], minVersion: "TLSv1.2" });
}

/** Connections of one sandbox to its upstream servers: dialled through the session, which checks each address, and kept for the next request. */
export interface Upstream {
  /** For requests without a body, which most are. */
  readonly connections: Connections;
  /** For `node:http`'s requests of the scheme: those with a body, and what else the other client cannot carry. */
  agent(scheme: Scheme): Agent;
  /** One of nobody else's. */
  connect(scheme: Scheme, target: Target): Promise<Socket>;
  close(): void;
}

type Scheme = "http" | "https";

export function openUpstream(session: LiveSession, trust: SecureContext): Upstream {
  const connect = async (scheme: Scheme, target: Target): Promise<Socket> => {
    const socket = await session.dial(target);
    socket.setNoDelay(true);
    return scheme === "http" ? socket : secured(socket, target, trust);
  };
  const connections = new Connections(connect);
  const agents = {
    http: new DiallingAgent((target) => connect("http", target)),
    https: new DiallingAgent((target) => connect("https", target)),
  };
  return {
    connections,
    agent: (scheme) => agents[scheme],
    connect,
    close() {
      connections.close();
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** As Node calls it back; its types know no call without a stream. */
type Done = (error: Error | null, stream?: Duplex) => void;

class DiallingAgent extends Agent {
  readonly #open: (target: Target) => Promise<Socket>;

  constructor(open: (target: Target) => Promise<Socket>) {
    super({ keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_FREE, timeout: FREE_MS, scheduling: "lifo" });
    this.#open = open;
  }

  override createConnection(options: ClientRequestArgs, done: (error: Error | null, stream: Duplex) => void): undefined {
    void this.#connect({ host: String(options.host), port: Number(options.port) }, done as Done);
    return undefined;
  }

  async #connect(target: Target, done: Done): Promise<void> {
    try {
      done(null, await this.#open(target));
    } catch (thrown) {
      done(thrown as Error);
    }
  }
}

/**
 * TLS to a server whose certificate was verified for the target's name.
 *
 * @throws Refused `upstream_certificate` where the server cannot show that it is who was asked for. Nothing was sent then.
 */
function secured(socket: Socket, { host }: Target, trust: SecureContext): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // An address is no server name (RFC 6066 section 3); it is checked against the certificate all the same.
    const name = isIPv4(host) ? {} : { servername: host };
    const secure = connect({ socket, host, ...name, secureContext: trust, ALPNProtocols: ["http/1.1"], rejectUnauthorized: true });
    const failed = (error: Error): void => {
      clearTimeout(late);
      secure.destroy();
      socket.destroy();
      // Set where the handshake worked and the certificate is not to be believed.
      const distrusted = Boolean(secure.authorizationError as unknown);
      reject(distrusted ? new Refused("upstream_certificate", `The certificate of ${host} is not accepted: ${error.message}. Nothing was sent.`, { status: 502 }) : error);
    }; // prettier-ignore
    const closed = (): void => failed(new Error("the connection was closed in the TLS handshake"));
    const late = setTimeout(() => failed(new Error("the TLS handshake took too long")), HANDSHAKE_MS);
    secure.once("error", failed).once("close", closed);
    secure.once("secureConnect", () => {
      clearTimeout(late);
      secure.off("error", failed).off("close", closed);
      resolve(secure);
    });
  });
}
