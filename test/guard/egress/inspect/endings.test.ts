import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { openStage, secret, type Stage } from "./stage.ts";

const { placeholder } = secret().binding;

function http2(stage: Stage): ClientHttp2Session {
  return connectHttp2("https://api.test", {
    createConnection: () => connect({ host: "127.0.0.1", port: stage.port, servername: "api.test", ca: stage.ca, ALPNProtocols: ["h2"] }),
  });
}

async function verdictOf(stage: Stage): Promise<Stage["verdicts"][number]> {
  for (let round = 0; round < 500 && stage.verdicts.length === 0; round++) await new Promise((resolve) => setTimeout(resolve, 10));
  return stage.verdicts[0]!;
}

it("a placeholder that comes after the answer has begun is found, and ends what its binding says", async () => {
  let body = "";
  const cut = Promise.withResolvers<void>();
  const listener: RequestListener = (request, response) => {
    response.write("begun");
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("error", () => cut.resolve());
  };
  await using stage = await openStage(listener, { secrets: [secret({ onViolation: "terminate" })] });
  const request = httpsRequest({ host: "127.0.0.1", port: stage.port, servername: "api.test", ca: stage.ca, method: "POST", headers: { host: "api.test" } }); // prettier-ignore
  request.on("error", () => {});
  request.write("first ");
  const [answer] = (await once(request, "response")) as [NodeJS.ReadableStream];
  answer.on("error", () => {});
  await once(answer, "data");
  request.write(`second ${placeholder} and what follows it`);
  await cut.promise;
  expect(await verdictOf(stage)).toMatchObject({ verdict: "deny", reason: "placeholder", secret: "TOKEN" });
  expect(body).toBe("first ");
  expect((await stage.ask("/")).status).toBe(403);
});

it("a placeholder in a body that says to be small leaves no trace at the server, not even the head", async () => {
  let heard = 0;
  await using stage = await openStage((_, response) => void response.end(String(++heard)), { secrets: [secret()] });
  const body = `${"x".repeat(20_000)}${placeholder}`;
  const answer = await stage.ask("/", { method: "POST", headers: { host: "api.test", "content-length": body.length } }, body);
  expect(answer).toMatchObject({ status: 403 });
  expect(heard).toBe(0);
});

it("a body with the value put in says its new length, where the old one was small", async () => {
  const listener: RequestListener = (request, response) =>
    void request.resume().once("end", () => response.end(JSON.stringify(request.headers)));
  await using stage = await openStage(listener, { secrets: [secret({ replaceIn: ["body"] })] });
  const { text } = await stage.ask(
    "/",
    { method: "POST", headers: { host: "api.test", "content-length": placeholder.length } },
    placeholder,
  );
  expect(JSON.parse(text)).toMatchObject({ "content-length": String("the-real-value".length) });
});

it("an HTTP/2 client sees that an answer was cut off", async () => {
  await using stage = await openStage((request, response) => {
    response.write("part");
    request.socket.destroySoon();
  });
  const session = http2(stage);
  const stream = session.request({ ":path": "/" });
  stream.resume();
  const [error] = (await once(stream, "error")) as [Error];
  expect(error.message).toContain("NGHTTP2_INTERNAL_ERROR");
  session.destroy();
});

it.each([{ ":authority": "evil.test" }, { host: "evil.test" }])(
  "an HTTP/2 request on a kept connection that names %j is refused",
  async (named) => {
    let heard = 0;
    await using stage = await openStage((_, response) => void response.end(String(++heard)));
    const session = http2(stage);
    const status = async (more: object): Promise<unknown> => {
      const stream = session.request({ ":path": "/", ...more });
      const [headers] = (await once(stream, "response")) as [{ ":status": number }];
      stream.resume();
      return headers[":status"];
    };
    expect([await status({}), await status(named), await status({})]).toEqual([200, 403, 200]);
    expect(heard).toBe(2);
    session.destroy();
  },
);

it("an answer before the answer (103) is passed on", async () => {
  await using stage = await openStage((_, response) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("after");
  });
  const request = httpsRequest({
    host: "127.0.0.1",
    port: stage.port,
    servername: "api.test",
    ca: stage.ca,
    headers: { host: "api.test" },
  });
  const information = once(request, "information");
  request.end();
  const [{ statusCode, headers }] = (await information) as [{ statusCode: number; headers: { link?: string } }];
  expect([statusCode, headers.link]).toEqual([103, "</style.css>; rel=preload"]);
  const [answer] = (await once(request, "response")) as [NodeJS.ReadableStream];
  answer.resume();
  await once(answer, "end");
});

it.each(["--http1.1", "--http2"])("curl %s reads why its large upload was denied", async (version) => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-upload-"));
  const [big, ca] = [join(directory, "big"), join(directory, "ca.pem")];
  await using stage = await openStage((_, response) => void response.end(), {
    allow: [{ host: "api.test", tls: "inspect", methods: ["GET"] }],
  });
  writeFileSync(big, Buffer.alloc(20_000_000));
  writeFileSync(ca, stage.ca);
  for (const expects of ["Expect:", "Expect: 100-continue"]) {
    const { stdout } = await promisify(execFile)("curl", ["-sS", version, "-H", expects, "--cacert", ca, "--connect-to", `api.test:443:127.0.0.1:${stage.port}`, "--data-binary", `@${big}`, "https://api.test/"]); // prettier-ignore
    expect(stdout).toContain("does not allow the method POST");
  }
  rmSync(directory, { recursive: true });
});

it("a server at an address shows a certificate for that address", async () => {
  const allow = [{ cidr: "203.0.113.7/32", tls: "inspect" }];
  await using right = await openStage((_, response) => void response.end("hello"), { allow, host: "203.0.113.7" });
  expect(await right.ask("/")).toMatchObject({ status: 200, text: "hello" });
  await using wrong = await openStage((_, response) => void response.end("hello"), {
    allow,
    host: "203.0.113.7",
    certified: "203.0.113.8",
  });
  expect(await wrong.ask("/")).toMatchObject({ status: 502 });
  expect(wrong.verdicts[0]).toMatchObject({ reason: "upstream_certificate" });
});
