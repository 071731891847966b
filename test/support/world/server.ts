/** The process that stands in the world's network namespace: web servers, a name server, ports, and a log of all that arrives. */
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { createServer, type Socket } from "node:net";
import { createSecureContext, type TLSSocket } from "node:tls";
import { createGzip } from "node:zlib";
import { WebSocketServer } from "ws";
import { serveDns, type Zone } from "./dns.ts";
import type { FromWorld, Log, ToWorld, WorldOptions } from "./protocol.ts";

const options = JSON.parse(process.argv[2] ?? "") as WorldOptions;
const tell = (message: FromWorld): void => void process.send?.(message);
const log: Log = (seen) => tell({ seen });

const zone: Zone = new Map(Object.entries(options.zone).map(([name, entry]) => [name, { ...entry, asked: 0 }]));
process.on("message", (message: ToWorld) => {
  if ("set" in message) zone.set(message.set, { answers: message.answers, ttl: message.ttl, asked: 0 });
  tell({ done: "set" in message ? message.set : message.settle });
});
process.on("disconnect", () => process.exit(0));

const sockets = new WebSocketServer({ noServer: true });

/**
 * `/echo` says back the request as JSON, `/bytes/N` N bytes, `/stream` a line every 50 ms, `/redirect?to=` a redirect, `/echo-gzip` the same
 * as /echo compressed, everything else `hello from HOST`. Bodies are read whole and written down.
 */
function handle(request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse, tls: boolean): void {
  const answer = response as ServerResponse;
  const { headers, method = "", url = "", httpVersion: version } = request;
  const host = headers.host ?? (headers[":authority"] as string | undefined) ?? "";
  const socket = request.socket as TLSSocket;
  log({ kind: "http", tls, version, host, server_name: tls ? String(socket.servername ?? "") : "", method, url, headers });
  const path = url.split("?")[0] ?? "";
  if (path === "/stream") {
    answer.writeHead(200, { "content-type": "text/event-stream" });
    let count = 0;
    const timer = setInterval(() => answer.write(`data: ${count++}\n\n`), 50);
    answer.on("close", () => clearInterval(timer));
    return;
  }
  const pieces: Buffer[] = [];
  let length = 0;
  request.on("data", (piece: Buffer) => {
    length += piece.length;
    if (length <= 1 << 20) pieces.push(piece);
  });
  request.on("end", () => {
    const text = Buffer.concat(pieces).toString("utf8");
    if (length > 0) log({ kind: "body", host, url, text });
    if (path.startsWith("/bytes/")) {
      const size = Number(path.slice("/bytes/".length));
      answer.writeHead(200, { "content-type": "application/octet-stream", "content-length": String(size) });
      const block = Buffer.alloc(65_536, 0x62);
      let left = size;
      const more = (): void => {
        while (left > 0) {
          const piece = block.subarray(0, Math.min(left, block.length));
          left -= piece.length;
          if (!answer.write(piece) && left > 0) {
            answer.once("drain", more);
            return;
          }
        }
        answer.end();
      };
      more();
    } else if (path === "/redirect") {
      answer.writeHead(302, { location: new URL(url, "http://x").searchParams.get("to") ?? "/" });
      answer.end();
    } else if (path === "/echo" || path === "/echo-gzip") {
      const document = JSON.stringify({ method, url, headers, body: text, length });
      const packed = path === "/echo-gzip" && (headers["accept-encoding"] ?? "").includes("gzip");
      answer.writeHead(200, {
        "content-type": "application/json",
        "x-echo-authorization": headers.authorization ?? "",
        ...(packed ? { "content-encoding": "gzip" } : {}),
      });
      if (packed) {
        const gzip = createGzip();
        gzip.pipe(answer);
        gzip.end(document);
      } else answer.end(document);
    } else {
      answer.writeHead(200, { "content-type": "text/plain" });
      answer.end(`hello from ${host}\n`);
    }
  });
}

function upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
  sockets.handleUpgrade(request, socket, head, (opened) => {
    log({ kind: "websocket", host: request.headers.host ?? "", url: request.url ?? "" });
    opened.on("message", (data: Buffer, binary: boolean) => opened.send(data, { binary }));
  });
}

const contexts = new Map(
  Object.entries(options.certificates).map(([name, { key, certificate }]) => [
    name,
    createSecureContext({ key: readFileSync(key), cert: readFileSync(certificate) }),
  ]),
);
const fallback = Object.values(options.certificates)[0];
const web = createHttpServer((request, response) => handle(request, response, false)).on("upgrade", upgrade);
const secure = createSecureServer(
  {
    allowHTTP1: true,
    key: readFileSync(fallback?.key ?? ""),
    cert: readFileSync(fallback?.certificate ?? ""),
    SNICallback: (name, done) => done(null, contexts.get(name) ?? contexts.get(`*.${name.split(".").slice(1).join(".")}`)),
  },
  (request, response) => handle(request, response, true),
).on("upgrade", upgrade as never);
secure.on("error", () => undefined);

const { allowed, denied, dns, others } = options.addresses;
const PORTS: Readonly<Record<number, (socket: Socket) => void>> = {
  80: (socket) => web.emit("connection", socket),
  443: (socket) => secure.emit("connection", socket),
  22: (socket) => socket.pipe(socket),
  7777: (socket) => socket.pipe(socket),
  853: (socket) => socket.resume(),
};
for (const address of [allowed, denied, ...others]) {
  for (const [port, serve] of Object.entries(PORTS)) {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      log({ kind: "tcp", address, port: Number(port) });
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(Number(port), address, resolve));
  }
  for (const port of [53, 443]) {
    const udp = createSocket("udp4").on("message", (bytes) => log({ kind: "udp", address, port, bytes: bytes.toString("latin1") }));
    await new Promise<void>((resolve) => udp.bind(port, address, resolve));
  }
}
await serveDns(dns, zone, log);
tell({ ready: true });
