import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { type ClientOptions, WebSocket, WebSocketServer } from "ws";
import { compilePolicy } from "../../../../src/guard/egress/policy/index.ts";
import { openStage, secret, type Stage } from "./stage.ts";

const ALLOW = [{ host: "api.test", tls: "inspect", websocket: true, paths: ["/chat"] }];

function dial(stage: Stage, path: string): WebSocket {
  return new WebSocket(`wss://127.0.0.1:${stage.port}${path}`, {
    servername: "api.test",
    ca: stage.ca,
    headers: { host: "api.test" },
  } as ClientOptions);
}

/** Says back what it hears. */
function chat(stage: Stage): { headers: () => string | undefined } {
  let seen: string | undefined;
  const sockets = new WebSocketServer({ server: stage.origin });
  sockets.on("connection", (socket, request) => {
    seen = request.headers.authorization;
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  });
  return { headers: () => seen };
}

it("a WebSocket passes both ways where the rule says so, with the secret in its head", async () => {
  await using stage = await openStage(() => {}, { allow: ALLOW, secrets: [secret()] });
  const { headers } = chat(stage);
  const socket = dial(stage, "/chat");
  await once(socket, "open");
  for (const text of ["one", "two".repeat(50_000)]) {
    socket.send(text);
    const [data] = (await once(socket, "message")) as [Buffer];
    expect(data.toString()).toBe(text);
  }
  expect(headers()).toBe("Bearer the-real-value");
  socket.close();
  await once(socket, "close");
  for (let round = 0; round < 100 && stage.verdicts.length === 0; round++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(stage.verdicts[0]).toMatchObject({ protocol: "websocket", verdict: "allow", path: "/chat", secret: "TOKEN" });
  expect(stage.verdicts[0]?.bytes_down).toBeGreaterThan(150_000);
});

it.each([
  ["a path that the rule does not have", "/other", ALLOW, "path"],
  ["a rule that does not say so", "/chat", [{ host: "api.test", tls: "inspect" }], "websocket"],
])("is refused for %s, and the origin hears nothing", async (_, path, allow, reason) => {
  await using stage = await openStage(() => {}, { allow });
  const { headers } = chat(stage);
  const socket = dial(stage, path);
  const [error] = (await once(socket, "error")) as [Error];
  expect(error.message).toContain("403");
  expect(headers()).toBeUndefined();
  expect(stage.verdicts[0]).toMatchObject({ verdict: "deny", reason });
});

it("an open one is cut when its rule goes", async () => {
  await using stage = await openStage(() => {}, { allow: ALLOW });
  chat(stage);
  const socket = dial(stage, "/chat");
  socket.on("error", () => {});
  await once(socket, "open");
  expect(stage.session.setPolicy(compilePolicy({ allow: [] }))).toBeGreaterThan(0);
  await once(socket, "close");
});

it("a server that refuses to open one is heard with its own status and words, without the secret", async () => {
  await using stage = await openStage(
    (request, response) => response.writeHead(401, { "x-why": "no seat" }).end(`not with ${request.headers.authorization}`),
    { allow: ALLOW, secrets: [secret()] },
  );
  const socket = dial(stage, "/chat");
  socket.on("error", () => {});
  const [, answer] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
  expect([answer.statusCode, answer.headers["x-why"]]).toEqual([401, "no seat"]);
  expect(Buffer.concat(await answer.toArray()).toString()).toBe(`not with Bearer ${secret().binding.placeholder}`);
  while (stage.verdicts.length === 0) await pause(5);
  expect(stage.verdicts[0]).toMatchObject({ protocol: "websocket", verdict: "allow", path: "/chat" });
});

it("a server that says the secret back in the head of its WebSocket is not heard with it", async () => {
  await using stage = await openStage(() => {}, { allow: ALLOW, secrets: [secret()] });
  const sockets = new WebSocketServer({ server: stage.origin });
  sockets.on("headers", (headers, request) => headers.push(`x-seen: ${request.headers.authorization}`));
  const socket = dial(stage, "/chat");
  const open = once(socket, "open");
  const [{ headers }] = (await once(socket, "upgrade")) as [{ headers: Record<string, string> }];
  expect(headers["x-seen"]).toBe(`Bearer ${secret().binding.placeholder}`);
  await open;
  socket.close();
  await once(socket, "close");
});

it("a server that is slow to open one hears when the client has gone", async () => {
  const gone = Promise.withResolvers<void>();
  await using stage = await openStage(() => {}, { allow: ALLOW });
  stage.origin.on("upgrade", (_request, socket) => void socket.once("close", () => gone.resolve()).resume());
  const arrived = once(stage.origin, "upgrade");
  const socket = dial(stage, "/chat");
  socket.on("error", () => {});
  await arrived;
  socket.terminate();
  await gone.promise;
});
