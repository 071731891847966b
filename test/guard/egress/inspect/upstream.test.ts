import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { Agent, request as httpsRequest } from "node:https";
import { connect } from "node:tls";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { openStage, type Stage } from "./stage.ts";

function counted(stage: Stage): { connections: number } {
  const seen = { connections: 0 };
  stage.origin.on("secureConnection", () => (seen.connections += 1));
  return seen;
}

it("one connection to a server carries one request after the other", async () => {
  await using stage = await openStage((request, response) => response.end(request.url));
  const seen = counted(stage);
  for (const path of ["/a", "/b", "/c"]) expect((await stage.ask(path)).text).toBe(path);
  expect(seen.connections).toBe(1);
});

it("what changes nothing is asked again where the kept connection was closed meanwhile", async () => {
  await using stage = await openStage((request, response) => response.end(request.url));
  const seen = counted(stage);
  expect((await stage.ask("/a")).text).toBe("/a");
  stage.origin.closeAllConnections();
  expect((await stage.ask("/b")).text).toBe("/b");
  expect(seen.connections).toBe(2);
});

it("a server that breaks off each connection is a 502, and is asked once for each connection that was new", async () => {
  let heard = 0;
  await using stage = await openStage((request) => {
    heard += 1;
    request.socket.destroy();
  });
  const answer = await stage.ask("/");
  expect([answer.status, heard]).toEqual([502, 1]);
  expect(answer.text).toContain("ECONNRESET");
});

it("a server that wants no further request on a connection gets another one for it", async () => {
  await using stage = await openStage((request, response) => response.setHeader("connection", "close").end(request.url));
  const seen = counted(stage);
  for (const path of ["/a", "/b"]) expect((await stage.ask(path)).text).toBe(path);
  expect(seen.connections).toBe(2);
});

it("an unasked 100 before the answer to a body is passed over", async () => {
  await using stage = await openStage((request, response) => {
    response.writeContinue();
    request.resume().once("end", () => response.end("taken"));
  });
  expect(await stage.ask("/", { method: "POST", headers: { host: "api.test", "content-length": 4 } }, "body")).toMatchObject({
    status: 200,
    text: "taken",
  });
});

it("a request whose client has gone while its server was dialled is never sent", async () => {
  let heard = 0;
  await using stage = await openStage((_, response) => void response.end(String(++heard)));
  const dialling = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const dial = stage.session.dial.bind(stage.session);
  stage.session.dial = async (target) => {
    dialling.resolve();
    await held.promise;
    return dial(target);
  };
  const given = httpsRequest({ host: "127.0.0.1", port: stage.port, servername: "api.test", ca: stage.ca, headers: { host: "api.test" }, agent: new Agent() }); // prettier-ignore
  given.on("error", () => {});
  given.end();
  await dialling.promise;
  given.destroy();
  while (stage.verdicts.length === 0) await pause(5);
  held.resolve();
  expect((await stage.ask("/")).text).toBe("1");
  expect(heard).toBe(1);
});

it("a server is read no faster than the client reads", async () => {
  const piece = Buffer.alloc(1 << 20);
  let written = 0;
  await using stage = await openStage((_, response) => {
    const more = (): void => {
      while (written < 256) {
        written += 1;
        if (!response.write(piece)) return void response.once("drain", more);
      }
      response.end();
    };
    more();
  });
  const request = httpsRequest({
    host: "127.0.0.1",
    port: stage.port,
    servername: "api.test",
    ca: stage.ca,
    headers: { host: "api.test" },
  });
  request.end();
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  answer.pause();
  let before = -1;
  while (written !== before) {
    before = written;
    await pause(400);
  }
  expect(written).toBeLessThan(64);
  let read = 0;
  for await (const one of answer as AsyncIterable<Buffer>) read += one.length;
  expect(read).toBe(256 << 20);
});

it("a client that leaves within an answer ends the request at its server", async () => {
  const gone = Promise.withResolvers<void>();
  await using stage = await openStage((_, response) => {
    response.write("begun");
    response.once("close", () => gone.resolve());
  });
  const request = httpsRequest({
    host: "127.0.0.1",
    port: stage.port,
    servername: "api.test",
    ca: stage.ca,
    headers: { host: "api.test" },
  });
  request.end();
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  answer.on("error", () => {});
  await once(answer, "data");
  request.destroy();
  await gone.promise;
});

it("gRPC is refused by name, since its server would be asked in HTTP/1.1", async () => {
  let heard = 0;
  await using stage = await openStage((_, response) => void response.end(String(++heard)));
  const session = connectHttp2("https://api.test", {
    createConnection: () => connect({ host: "127.0.0.1", port: stage.port, servername: "api.test", ca: stage.ca, ALPNProtocols: ["h2"] }),
  });
  const stream = session.request({
    ":method": "POST",
    ":path": "/pkg.Service/Call",
    "content-type": "application/grpc+proto",
    te: "trailers",
  });
  stream.end();
  const [headers] = (await once(stream, "response")) as [{ ":status": number }];
  expect(headers[":status"]).toBe(403);
  expect(Buffer.concat(await stream.toArray()).toString()).toContain("passthrough");
  expect([heard, stage.verdicts[0]?.reason]).toEqual([0, "protocol"]);
  session.destroy();
});
