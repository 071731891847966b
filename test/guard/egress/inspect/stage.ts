import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { IncomingMessage, RequestListener } from "node:http";
import { type AddressInfo, connect, createServer, isIP, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkServerIdentity } from "node:tls";
import type { BoundSecret, NetworkVerdict } from "../../../../src/contract/index.ts";
import { makeAuthority as makeSandboxAuthority } from "../../../../src/guard/egress/inspect/authority.ts";
import { createInspector } from "../../../../src/guard/egress/inspect/inspector.ts";
import { compilePolicy } from "../../../../src/guard/egress/policy/index.ts";
import { Session, type SessionParts } from "../../../../src/guard/egress/session/session.ts";
import { makeAuthority, makeCertificate } from "../../../support/world/certificates.ts";

/** An origin with a real certificate, and a client's way to it through inspection: real TLS on both sides, over loopback. */
export interface Stage extends AsyncDisposable {
  readonly session: Session;
  readonly verdicts: NetworkVerdict[];
  readonly origin: SecureServer;
  /** Where a client connects to be inspected on its way to api.test:443. */
  readonly port: number;
  /** What a client of the sandbox trusts. */
  readonly ca: string;
  readonly ask: (path: string, options?: RequestOptions, body?: string | Buffer) => Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly trailers: IncomingMessage["trailers"];
  readonly text: string;
}

export interface StageOptions {
  readonly allow?: object[];
  readonly secrets?: readonly BoundSecret[];
  /** Where every connection leads; api.test:443 unless given. */
  readonly host?: string;
  /** What the origin's certificate is for; the host unless given. */
  readonly certified?: string;
}

/** Only name resolution is the test's own: api.test is the origin on loopback, which the boundary's own dialler would refuse. */
export async function openStage(
  listener: RequestListener,
  { allow = [{ host: "api.test", tls: "inspect" }], secrets = [], host = "api.test", certified = host }: StageOptions = {},
): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-inspect-"));
  const world = makeAuthority(directory, "origin-ca");
  const files = makeCertificate(directory, "api", [certified], world);
  const origin = createSecureServer({ key: readFileSync(files.key), cert: readFileSync(files.certificate) }, listener);
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const { port: originPort } = origin.address() as AddressInfo;
  const verdicts: NetworkVerdict[] = [];
  const dial = () =>
    new Promise((resolve, reject) => {
      const socket = connect(originPort, "127.0.0.1", () => resolve(socket));
      socket.once("error", reject);
    });
  const parts = {
    dialler: { dial, fault: () => null },
    names: {},
    counters: { seq: 0, up: 0, down: 0 },
    journal: { append: (one: NetworkVerdict) => verdicts.push(one) },
  };
  const policy = compilePolicy({ allow });
  const session = new Session({ id: "sb1", tenant: "acme", generation: 1, policy, secrets }, parts as unknown as SessionParts);
  const authority = makeSandboxAuthority();
  const inspection = createInspector({ upstreamCa: readFileSync(world.certificate, "utf8") }).open(session, authority);
  const door: Server = createServer((client) => inspection.serve({ client, kind: "tls", target: { host, port: 443 }, via: "connect" }));
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  const { port } = door.address() as AddressInfo;
  return {
    session, verdicts, origin, port, ca: authority.certPem,
    ask: (path, options = {}, body) =>
      new Promise((resolve, reject) => {
        const request = httpsRequest({ host: "127.0.0.1", port, path, ...(isIP(host) === 0 ? { servername: host } : {}), ca: authority.certPem, checkServerIdentity: (_, one) => checkServerIdentity(host, one), headers: { host }, ...options }, (answer) => {
          const pieces: Buffer[] = [];
          answer.on("data", (piece: Buffer) => pieces.push(piece));
          answer.once("error", reject);
          answer.once("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, trailers: answer.trailers, text: Buffer.concat(pieces).toString() }));
        });
        request.once("error", reject);
        request.end(body);
      }),
    async [Symbol.asyncDispose]() {
      inspection.close();
      door.close();
      origin.closeAllConnections();
      origin.close();
      rmSync(directory, { recursive: true, force: true });
    },
  }; // prettier-ignore
}

/** A secret bound to api.test. */
export function secret(more: Partial<BoundSecret["binding"]> = {}, value = "the-real-value"): BoundSecret {
  return {
    value,
    binding: {
      name: "TOKEN", placeholder: "sbx_secret_0123456789abcdefghijABCDEFGHIJ01", inject: { type: "bearer" }, hosts: ["api.test"], ports: [443], replaceIn: [], onViolation: "block", ...more,
    },
  }; // prettier-ignore
}
