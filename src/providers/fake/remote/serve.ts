import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { type Logger, type Op, type Provider, SandboxerError } from "../../../contract/index.ts";
import { type Question, toWire } from "./wire.ts";

/**
 * Serves a fake backend over HTTP on loopback, as a vendor's API stands far from who uses it. Commands only: no standard input, no
 * files, no background processes. No key: nothing is behind it.
 */
export async function serveFake(provider: Provider, log: Logger, port = 0): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const left = new AbortController();
    response.once("close", () => left.abort());
    answer(provider, request, response, { signal: left.signal, log }).catch((thrown: unknown) => {
      if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: SandboxerError.from(thrown).toWire() }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(provider: Provider, request: IncomingMessage, response: ServerResponse, op: Op): Promise<void> {
  const question = (await json(request)) as Question;
  if (question.verb === "exec") return stream(provider, question, response, op);
  const found = await ask(provider, question, op);
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ found }));
}

async function ask(provider: Provider, question: Exclude<Question, { verb: "exec" }>, op: Op): Promise<unknown> {
  switch (question.verb) {
    case "traits":
      return provider.traits;
    case "create":
      return provider.create(question.spec, op);
    case "destroy":
      return provider.destroy(question.ref, op);
    case "inspect":
      return provider.inspect(question.ref, op);
    case "list":
      return collected(provider.list(op));
    default:
      return question satisfies never;
  }
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function stream(
  provider: Provider,
  { ref, command, maxOutputBytes }: Extract<Question, { verb: "exec" }>,
  response: ServerResponse,
  op: Op,
): Promise<void> {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const write = (event: object) => void response.write(`${JSON.stringify(event)}\n`);
  try {
    for await (const event of provider.exec(ref, command, { stdin: { kind: "none" }, maxOutputBytes }, op)) write(toWire(event));
  } catch (thrown) {
    write({ type: "failed", error: SandboxerError.from(thrown).toWire() });
  }
  response.end();
}
