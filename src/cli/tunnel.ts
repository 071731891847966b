import type { IncomingMessage, RequestOptions } from "node:http";
import type { Duplex } from "node:stream";
import { SandboxerError } from "../contract/errors.ts";
import { plainResponse } from "../contract/plain-web.ts";
import { failureOf } from "../sdk/failure.ts";

const PROTOCOL = "sandboxer-tunnel";

/**
 * A connection to a port in a sandbox, over the server at `where`: its address, or the path of its socket.
 *
 * @throws SandboxerError what the server answers instead, or `backend_unavailable` where it does not.
 */
export function openTunnel(where: string, sandboxId: string, port: number): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const key = process.env["SANDBOXER_API_KEY"];
  const path = `/v1/sandboxes/${encodeURIComponent(sandboxId)}/ports/${port}/tunnel`;
  const isSocket = where.startsWith("/");
  const authorization = isSocket || key === undefined ? {} : { authorization: `Bearer ${key}` };
  const options: RequestOptions = {
    method: "GET",
    agent: false,
    headers: { connection: "Upgrade", upgrade: PROTOCOL, ...authorization, ...(isSocket ? { host: "localhost" } : {}) },
  };
  const base = isSocket ? undefined : new URL(where);
  const request = process.getBuiltinModule(base?.protocol === "https:" ? "node:https" : "node:http").request;
  const asked =
    base === undefined
      ? request({ ...options, socketPath: where, path })
      : request(new URL(base.pathname.replace(/\/$/, "") + path, base), options);
  asked.once("upgrade", (_answer, stream: Duplex, head) => {
    if (head.length > 0) stream.unshift(head);
    resolve(stream);
  });
  asked.once("response", (answer) => void refusal(answer).then(reject, reject));
  asked.once("error", (cause) => reject(new SandboxerError("backend_unavailable", `no answer from ${where}`, { phase: "connect", cause })));
  asked.end();
  return promise;
}

async function refusal(answer: IncomingMessage): Promise<SandboxerError> {
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  return failureOf(plainResponse(Buffer.concat(pieces).toString(), answer.statusCode ?? 500, {}));
}
