import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { SandboxerError } from "../../contract/index.ts";
import { baseHeaders, type HeaderRecord } from "../reply.ts";

/** An answer of this server's own in place of a program's: a page for browsers, the usual error for programs. */
export function problem(incoming: IncomingMessage, requestId: string, error: SandboxerError): { headers: HeaderRecord; body: string } {
  const isPage = incoming.headers.accept?.includes("text/html") === true;
  const body = isPage ? page(error, requestId) : JSON.stringify({ error: error.toWire(requestId) });
  return {
    headers: {
      ...baseHeaders(requestId),
      "content-type": isPage ? "text/html; charset=utf-8" : "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      "referrer-policy": "no-referrer",
      ...(error.details.retry_after === undefined ? {} : { "retry-after": String(Math.ceil(error.details.retry_after)) }),
    },
    body,
  };
}

export function answerProblem(incoming: IncomingMessage, outgoing: ServerResponse, requestId: string, error: SandboxerError): void {
  if (outgoing.headersSent || outgoing.destroyed) return;
  const { headers, body } = problem(incoming, requestId, error);
  outgoing.writeHead(error.status, headers).end(incoming.method === "HEAD" ? undefined : body);
}

/** The same on a bare connection. */
export function refuseUpgrade(incoming: IncomingMessage, socket: Duplex, requestId: string, error: SandboxerError): void {
  if (!socket.writable) return void socket.destroy();
  const { headers, body } = problem(incoming, requestId, error);
  const lines = Object.entries({ ...headers, connection: "close" }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ""}\r\n${lines.join("")}\r\n${body}`);
}

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

function page(error: SandboxerError, requestId: string): string {
  const title = `${error.status} ${STATUS_CODES[error.status] ?? ""}`.trim();
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;padding:0 1em;color-scheme:light dark}code{font-size:.9em}</style></head>
<body><h1>${title}</h1><p>${escaped(error.message)}</p><p>${escaped(error.hint)}</p>
<p><small>This page is from sand-boxer, not from a program in the sandbox. <code>${error.code}</code> · <code>${requestId}</code></small></p></body></html>
`;
}
