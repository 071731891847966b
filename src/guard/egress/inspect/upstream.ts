import { Agent, type ClientRequestArgs } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { Refused } from "./refusal.ts";
import type { LiveSession, Target } from "./types.ts";

/** Kept open to one origin while nobody asks, and for how long; servers close theirs after some 5 s at the least. */
const MAX_FREE = 32;
const FREE_MS = 4000;

/** What upstream servers are checked against: the system's authorities, and the operator's. Read once a process. */
export function upstreamTrust(extraPem: string | undefined): SecureContext {
  const ca = getCACertificates("system");
  const known = ca.length > 0 ? ca : getCACertificates("bundled");
  return createSecureContext({ ca: extraPem === undefined ? known : [...known, extraPem], minVersion: "TLSv1.2" });
}

/** Connections of one sandbox to its upstream servers: dialled through the session, which checks each address, and kept for the next request. */
export interface Upstream {
  /** For `node:http`'s requests of the scheme. */
  agent(scheme: "http" | "https"): Agent;
  close(): void;
}

export function openUpstream(session: LiveSession, trust: SecureContext): Upstream {
  const agents = { http: new DiallingAgent(session, undefined), https: new DiallingAgent(session, trust) };
  return {
    agent: (scheme) => agents[scheme],
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** As Node calls it back; its types know no call without a stream. */
type Done = (error: Error | null, stream?: Duplex) => void;

class DiallingAgent extends Agent {
  readonly #session: LiveSession;
  readonly #trust: SecureContext | undefined;

  constructor(session: LiveSession, trust: SecureContext | undefined) {
    super({ keepAlive: true, maxFreeSockets: MAX_FREE, timeout: FREE_MS, scheduling: "lifo" });
    this.#session = session;
    this.#trust = trust;
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

  async #open(target: Target): Promise<Socket> {
    const socket = await this.#session.dial(target);
    socket.setNoDelay(true);
    return this.#trust === undefined ? socket : secured(socket, target, this.#trust);
  }
}

/** @throws Refused `upstream_certificate` where the server cannot show that it is who was asked for. Nothing was sent then. */
function secured(socket: Socket, { host }: Target, trust: SecureContext): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const secure = connect({ socket, servername: host, host, secureContext: trust, ALPNProtocols: ["http/1.1"], rejectUnauthorized: true });
    const failed = (error: NodeJS.ErrnoException): void => {
      socket.destroy();
      reject(isOfCertificate(error) ? new Refused("upstream_certificate", `The certificate of ${host} is not accepted: ${error.message}. Nothing was sent.`, { status: 502 }) : error);
    }; // prettier-ignore
    secure.once("error", failed);
    secure.once("secureConnect", () => {
      secure.removeListener("error", failed);
      resolve(secure);
    });
  });
}

/** The codes of X509_verify_cert and of Node's check of names; a connection that broke has a system's code. */
function isOfCertificate({ code = "" }: NodeJS.ErrnoException): boolean {
  return /CERT|SIGNATURE|ISSUER|CRL|ALTNAME|CHAIN/.test(code);
}
