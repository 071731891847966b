import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { WireError } from "../../src/contract/index.ts";
import type { ServerLimits } from "../../src/server/limits.ts";
import { createServer, type SandboxerServer } from "../../src/server/server.ts";
import { TinyEngine } from "./tiny-engine.ts";

interface LogLine {
  level: string;
  message: string;
  fields: Record<string, unknown>;
}

export interface TestDoor {
  tiny: TinyEngine;
  server: SandboxerServer;
  url: string;
  port: number;
  key: string;
  log: LogLine[];
  /** A call with the key. */
  call(path: string, init?: RequestInit): Promise<Response>;
  json(path: string, method: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

/** A listening server over a {@link TinyEngine}, closed when the test ends. */
export async function openDoor(limits: Partial<ServerLimits> = {}): Promise<TestDoor> {
  const tiny = new TinyEngine();
  const log: LogLine[] = [];
  const level = (name: string) => (fields: object, message: string) =>
    void log.push({ level: name, message, fields: fields as Record<string, unknown> });
  const logger = { debug: level("debug"), info: level("info"), warn: level("warn"), error: level("error") };
  const server = createServer({ engine: tiny.engine(), log: logger, version: "1.2.3", limits: { graceMs: 200, ...limits } });
  onTestFinished(() => server.close());
  const { url, port } = await server.listen({ port: 0 });
  const key = tiny.key("acme", ["read", "write", "admin"]);
  const call = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (!headers.has("authorization")) headers.set("authorization", `Bearer ${key}`);
    return fetch(url + path, { ...init, headers });
  };
  const json: TestDoor["json"] = (path, method, body, headers = {}) =>
    call(path, { method, body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } });
  return { tiny, server, url, port, key, log, call, json };
}

/** The error of an answer. */
export async function errorOf(response: Response): Promise<WireError> {
  return ((await response.json()) as { error: WireError }).error;
}

/** A bare connection: sends `text`, and gives what comes back until the server closes or `until` is in it. */
export async function raw(port: number, text: string | Buffer, until?: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(text);
  return readUntil(socket, until);
}

export async function readUntil(socket: Socket, until?: string): Promise<string> {
  let all = "";
  try {
    for await (const piece of socket.iterator({ destroyOnReturn: false })) {
      all += (piece as Buffer).toString("latin1");
      if (until !== undefined && all.includes(until)) break;
    }
  } finally {
    if (until === undefined) socket.destroy();
  }
  return all;
}

/** Waits until `condition` holds; the test's own time limit ends it otherwise. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export interface Sse {
  event: string;
  data: Record<string, unknown>;
  id: string | undefined;
}

/** The events of a stream, as they come. */
export async function* sseOf(response: Response): AsyncGenerator<Sse, void, void> {
  if (response.body === null) throw new Error("the answer has no body");
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
      if (!block.startsWith(":"))
        yield { event: field("event") ?? "", data: JSON.parse(field("data") ?? "{}") as Record<string, unknown>, id: field("id") };
    }
  }
}
