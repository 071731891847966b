import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { CloudEvent } from "../../src/contract/index.ts";

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly events: readonly CloudEvent[];
}

/** A receiver of webhooks on this machine. `answer` decides the status of each request; what got a 2xx is in `taken`. */
export interface Receiver {
  readonly url: string;
  readonly requests: Received[];
  readonly taken: Received[];
  answer: (request: Received) => number | { status: number; headers: Record<string, string> };
  /** Stops listening and drops every connection; `up` listens on the same port again. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Closed when the test ends. */
export async function openReceiver(): Promise<Receiver> {
  let port = 0;
  let server: Server;
  const receiver: Receiver = {
    get url() {
      return `http://127.0.0.1:${port}/hook`;
    },
    requests: [],
    taken: [],
    answer: () => 204,
    async down() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    async up() {
      server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => void chunks.push(chunk));
        request.on("end", () => {
          const body = Buffer.concat(chunks).toString();
          const parsed = JSON.parse(body) as CloudEvent | CloudEvent[];
          const received = { headers: request.headers, body, events: Array.isArray(parsed) ? parsed : [parsed] };
          receiver.requests.push(received);
          const answer = receiver.answer(received);
          const { status, headers } = typeof answer === "number" ? { status: answer, headers: {} } : answer;
          if (status >= 200 && status < 300) receiver.taken.push(received);
          response.writeHead(status, headers).end();
        });
      });
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      ({ port } = server.address() as AddressInfo);
    },
  };
  await receiver.up();
  onTestFinished(async () => {
    if (server.listening) await receiver.down();
  });
  return receiver;
}

/** Waits until it holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
