import { once } from "node:events";
import { connect } from "node:tls";
import { expect, it } from "vitest";
import { openStage, type Stage } from "./stage.ts";

const POST = "POST / HTTP/1.1\r\nHost: api.test\r\n";
const GET = "GET / HTTP/1.1\r\n";

/** Bytes as they are, to what answers until the boundary closes. */
async function untilClosed(stage: Stage, bytes: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: stage.port, servername: "api.test", ca: stage.ca });
  await once(socket, "secureConnect");
  let answer = "";
  socket.on("data", (piece: Buffer) => (answer += piece.toString("latin1")));
  socket.on("error", () => {});
  socket.write(bytes);
  await once(socket, "close");
  return answer;
}

it.each([
  ["a length before chunks (CL.TE)", `${POST}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX`],
  ["chunks before a length (TE.CL)", `${POST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nX\r\n0\r\n\r\n`],
  ["two lengths", `${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
  ["one length twice", `${POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
  ["a list of lengths", `${POST}Content-Length: 1, 1\r\n\r\na`],
  ["a length with a sign", `${POST}Content-Length: +1\r\n\r\na`],
  ["a space before a colon", `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ["an unknown coding", `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ["chunks that are not the last coding", `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`],
  ["a folded line", `${GET}Host: api.test\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n\r\n`],
  ["bare line feeds", "GET / HTTP/1.1\nHost: api.test\n\n"],
  ["a bare carriage return", `${GET}Host: api.test\r\nX-A: a\rTransfer-Encoding: chunked\r\n\r\n`],
  ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["two Hosts", `${GET}Host: api.test\r\nHost: evil.test\r\n\r\n`],
  ["no Host", `${GET}\r\n`],
  ["HTTP/2 where HTTP/1.1 was agreed", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["CONNECT", "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n"],
])("a request with %s ends its connection, and the server hears nothing", async (_, bytes) => {
  let heard = 0;
  await using stage = await openStage((_request, response) => void response.end(String(++heard)));
  // The same bytes twice: what was smuggled would be the second.
  expect(await untilClosed(stage, bytes + bytes)).toMatch(/^HTTP\/1\.1 40[05] /);
  expect(heard).toBe(0);
  expect(stage.verdicts.length).toBe(1);
  expect(stage.verdicts[0]).toMatchObject({ verdict: "deny", host: "api.test", port: 443 });
  expect(stage.verdicts[0]?.reason).toMatch(/^(protocol|name_mismatch)$/);
});

it("an upgrade to HTTP/2 without TLS is not taken up: the request is answered as it is", async () => {
  const heard: string[][] = [];
  await using stage = await openStage((request, response) => {
    heard.push(request.rawHeaders);
    response.end("plain");
  });
  const answer = await untilClosed(stage, `${GET}Host: api.test\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`); // prettier-ignore
  expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*plain$/);
  expect(heard).toEqual([["host", "api.test", "connection", "keep-alive"]]);
});

it("a POST without a body stays one", async () => {
  const heard: string[][] = [];
  await using stage = await openStage((request, response) => {
    heard.push(request.rawHeaders);
    request.resume().once("end", () => response.end("done"));
  });
  expect(await untilClosed(stage, `${POST}Connection: close\r\n\r\n`)).toContain("done");
  expect(heard[0]?.join(" ").toLowerCase()).not.toContain("chunked");
});
