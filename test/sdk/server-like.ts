import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** A real HTTP server that answers as the test says: for answers that a healthy sand-boxer never gives. */
export async function serverLike(answer: (request: IncomingMessage, response: ServerResponse, attempt: number) => void): Promise<string> {
  let attempt = 0;
  const server = createServer((request, response) => answer(request, response, ++attempt));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server-sent event. */
export function sse(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}
