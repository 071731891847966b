/** A node server inside: tells what it was sent, streams, takes, and counts. `PORT` and `HOST` are put in. */
export const ORACLE = `
import { createServer } from "node:http"; import { createHash } from "node:crypto";
const count = { sent: 0, got: 0, open: 0, aborted: 0 };
const server = createServer(async (q, s) => {
  const url = new URL(q.url, "http://x");
  if (url.pathname === "/tell") return s.setHeader("x-raw", q.url), s.end(JSON.stringify({ method: q.method, url: q.url, headers: q.headers }));
  if (url.pathname === "/count") return s.end(JSON.stringify(count));
  if (url.pathname === "/down") {
    let left = Number(url.searchParams.get("bytes")); const piece = Buffer.alloc(65536, 120);
    s.writeHead(200, { "content-length": left, "content-type": "application/octet-stream" });
    s.on("close", () => { if (left > 0) count.aborted++; });
    const more = () => { while (left > 0) { const n = Math.min(left, piece.length); left -= n; count.sent += n; if (!s.write(piece.subarray(0, n))) return s.once("drain", more); } s.end(); };
    return more();
  }
  if (url.pathname === "/up") {
    const hash = createHash("sha256"); let bytes = 0; q.on("close", () => { if (!q.complete) count.aborted++; });
    try { for await (const piece of q) { hash.update(piece); bytes += piece.length; count.got = bytes; } } catch { return; }
    return s.end(JSON.stringify({ bytes, sha256: hash.digest("hex"), framing: [q.headers["content-length"], q.headers["transfer-encoding"]] }));
  }
  if (url.pathname === "/early") return s.writeHead(413).end("too much");
  if (url.pathname === "/break") { s.writeHead(200, { "content-length": 1000 }); s.write("half"); return setTimeout(() => s.destroy(), 50); }
  if (url.pathname === "/events") {
    s.writeHead(200, { "content-type": "text/event-stream" }); let n = 0; count.open++;
    const timer = setInterval(() => s.write(url.searchParams.has("quiet") ? ": ping\\n\\n" : "data: " + n++ + "\\n\\n"), 50);
    return s.on("close", () => (clearInterval(timer), count.open--));
  }
  if (url.pathname === "/redirect") return s.writeHead(302, { location: url.searchParams.get("to") }).end();
  if (url.pathname === "/cookie") return s.writeHead(200, { "set-cookie": ["a=1; Path=/x; Domain=localhost", "b=2", "sbx_preview=evil", "c=3; Path=/; HttpOnly"] }).end();
  if (url.pathname === "/range") {
    const all = "0123456789"; const [, from, to] = /bytes=(\\d+)-(\\d+)/.exec(q.headers.range ?? "") ?? [];
    return from === undefined ? s.writeHead(200, { "accept-ranges": "bytes", "content-length": 10 }).end(q.method === "HEAD" ? undefined : all)
      : s.writeHead(206, { "content-range": "bytes " + from + "-" + to + "/10" }).end(all.slice(+from, +to + 1));
  }
  if (url.pathname === "/slow") return setTimeout(() => s.end("at last"), Number(url.searchParams.get("ms")));
  s.end("hello");
});
server.on("upgrade", (q, socket) => {
  const key = createHash("sha1").update(q.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  if (q.url === "/refuse") return socket.end("HTTP/1.1 401 Unauthorized\\r\\ncontent-length: 2\\r\\n\\r\\nno");
  count.open++; socket.on("close", () => count.open--); socket.on("error", () => {});
  const say = (op, text) => socket.write(Buffer.concat([Buffer.from([128 | op, text.length]), Buffer.from(text)]));
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n" + (q.headers["sec-websocket-protocol"] === undefined ? "" : "Sec-WebSocket-Protocol: " + q.headers["sec-websocket-protocol"] + "\\r\\n") + "Sec-WebSocket-Accept: " + key + "\\r\\n\\r\\n");
  say(1, JSON.stringify({ type: "connected" }));
  const timer = q.url === "/pinging" ? setInterval(() => say(9, "alive"), 50) : undefined; socket.on("close", () => clearInterval(timer));
  let held = Buffer.alloc(0);
  socket.on("data", (data) => {
    for (held = Buffer.concat([held, data]); held.length >= 6; ) {
      const length = held[1] & 127; if (held.length < 6 + length) return;
      const text = held.subarray(6, 6 + length).map((byte, i) => byte ^ held[2 + (i % 4)]);
      if ((held[0] & 15) === 8) return socket.end(); if ((held[0] & 15) === 1) say(1, text.toString()); held = held.subarray(6 + length);
    }
  });
});
server.listen(PORT, "HOST");
`;

/** The same on that port and address. */
export function oracleOn(port: number, host = "127.0.0.1"): string {
  return ORACLE.replace("PORT", String(port)).replace("HOST", host);
}

/** Python's own file server, as people start it. */
export const FILE_SERVER = `
import http.server, os
os.makedirs("site", exist_ok=True); open("site/page.html", "w").write("<p>page</p>")
os.chdir("site")
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
`;
