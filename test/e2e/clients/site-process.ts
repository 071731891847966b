/**
 * In the world's namespace: one HTTPS server (HTTP/1.1 and HTTP/2) for four names, as real clients need them. `node site-process.ts OPTIONS`, as JSON.
 * `web.test/version` says what version it was asked in, `/post` what it was sent; git.test is git's own http-backend; pypi.test and npm.test are a registry of one package each.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import type { SiteOptions } from "./site.ts";

const { address, key, certificate, repositories, token, wheel, tarball } = JSON.parse(process.argv[2] ?? "") as SiteOptions;

type Serve = (request: IncomingMessage, response: ServerResponse, path: string) => void;

const SITES: Readonly<Record<string, Serve>> = {
  "web.test": (request, response, path) => {
    if (path === "/post") request.pipe(response);
    else response.end(path === "/version" ? request.httpVersion : "hello");
  },
  "git.test": git,
  "pypi.test": (_, response, path) => {
    const name = wheel.split("/").at(-1) ?? "";
    if (path === `/files/${name}`) return void response.end(readFileSync(wheel));
    if (path !== "/simple/tiny-thing/") return missing(response);
    response.setHeader("content-type", "text/html");
    response.end(`<!DOCTYPE html><html><body><a href="/files/${name}#sha256=${digest("sha256", "hex", wheel)}">${name}</a></body></html>`);
  },
  "npm.test": (_, response, path) => {
    if (path === "/tiny-thing/-/tiny-thing-1.0.0.tgz") return void response.end(readFileSync(tarball));
    if (path !== "/tiny-thing") return missing(response);
    const dist = {
      tarball: "https://npm.test/tiny-thing/-/tiny-thing-1.0.0.tgz",
      integrity: `sha512-${digest("sha512", "base64", tarball)}`,
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name: "tiny-thing", "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": { name: "tiny-thing", version: "1.0.0", dist } } })); // prettier-ignore
  },
};

function digest(algorithm: string, form: "hex" | "base64", file: string): string {
  return createHash(algorithm).update(readFileSync(file)).digest(form);
}

function missing(response: ServerResponse): void {
  response.statusCode = 404;
  response.end("no such page\n");
}

/** git's own server side as a CGI program (RFC 3875). What is below /private wants the token as a password. */
function git(request: IncomingMessage, response: ServerResponse, path: string): void {
  const wanted = `Basic ${Buffer.from(`x-access-token:${token}`).toString("base64")}`;
  if (path.startsWith("/private") && request.headers.authorization !== wanted) {
    response.writeHead(401, { "www-authenticate": 'Basic realm="git"' });
    return void response.end();
  }
  const child = spawn("git", ["http-backend"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      PATH: process.env["PATH"],
      GIT_PROJECT_ROOT: repositories,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      QUERY_STRING: request.url?.split("?")[1] ?? "",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      ...(request.headers["content-length"] === undefined ? {} : { CONTENT_LENGTH: request.headers["content-length"] }),
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      REMOTE_USER: "someone",
      REMOTE_ADDR: "127.0.0.1",
    },
  });
  request.pipe(child.stdin);
  child.stdin.on("error", () => request.resume());
  let held = Buffer.alloc(0);
  let begun = false;
  child.stdout.on("data", (piece: Buffer) => {
    if (begun) {
      response.write(piece);
      return;
    }
    held = Buffer.concat([held, piece]);
    const end = held.indexOf("\r\n\r\n");
    if (end < 0) return;
    begun = true;
    for (const line of held.toString("latin1", 0, end).split("\r\n")) {
      const [name = "", value = ""] = line.split(/:\s*(.*)/s);
      if (name.toLowerCase() === "status") response.statusCode = Number(value.split(" ")[0]);
      else response.setHeader(name, value);
    }
    response.write(held.subarray(end + 4));
  });
  child.stdout.on("end", () => response.end());
}

const server = createSecureServer({ allowHTTP1: true, key: readFileSync(key), cert: readFileSync(certificate) }, (asked, answer) => {
  const request = asked as unknown as IncomingMessage;
  const response = answer as unknown as ServerResponse;
  const host = String(request.headers.host ?? request.headers[":authority"] ?? "");
  const serve = SITES[host];
  if (serve === undefined) missing(response);
  else serve(request, response, request.url?.split("?")[0] ?? "");
});
server.on("sessionError", () => undefined);
server.listen(443, address, () => process.stdout.write("ready\n"));
