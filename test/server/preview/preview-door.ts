import { request, type IncomingHttpHeaders } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import {
  LOCAL_OPERATOR,
  SandboxerError,
  type Config,
  type CreateRequest,
  type PortAddress,
  type Principal,
  type Sandbox,
  type Scope,
} from "../../../src/contract/index.ts";
import { openSandboxer, serverOver, type Opened } from "../../../src/main.ts";
import type { SandboxerServer } from "../../../src/server/server.ts";
import { cleanUp, dataDirectory, localConfig, runCommand } from "../../support/local-engine.ts";

export const TENANT: Principal = { tenant: "acme", key_id: null, scopes: ["read", "write"] };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** A listening server with a tenant, a profile of its own, and a way to ask for ports by name without a resolver. */
export interface PreviewTestDoor {
  readonly opened: Opened;
  readonly server: SandboxerServer;
  readonly port: number;
  readonly key: string;
  keyFor(tenant: string, scopes?: Scope[]): Promise<string>;
  /** Applies a profile with that network and makes a sandbox from it. */
  sandbox(network: Record<string, unknown>, request?: CreateRequest): Promise<Sandbox>;
  /** A call of the API. */
  call(method: string, path: string, body?: unknown, key?: string): Promise<{ status: number; body: unknown }>;
  /** A request to a port by its host name. */
  visit(sandbox: Sandbox, port: number, path?: string, options?: AskOptions): Promise<Answer>;
  /** A request to the server as it is. */
  ask(path: string, options?: AskOptions): Promise<Answer>;
  hostOf(sandbox: Sandbox, port: number): string;
  address(sandbox: Sandbox, port: number, body?: unknown): Promise<PortAddress>;
  /** Starts a program inside that goes on. */
  start(sandbox: Sandbox, shell: string): Promise<void>;
  /** Serves `/index` over the fake; resolves once all the ports are open. */
  serve(sandbox: Sandbox, ...ports: number[]): Promise<void>;
}

const FAKE: Config = { log_level: "silent", backends: [{ name: "memory", provider: "fake", options: { isolation: "container" } }] };

export async function openPreview(backend: "fake" | "local", config: Config = {}): Promise<PreviewTestDoor> {
  const dataDir = backend === "local" ? dataDirectory("preview") : await mkdtemp(join(tmpdir(), "sbx-preview-"));
  const opened = await openSandboxer({
    dataDir,
    config: { ...(backend === "local" ? localConfig({ runtime: "crun" }) : FAKE), ...config },
  });
  const server = await serverOver(opened);
  onTestFinished(async () => {
    await server.close();
    await cleanUp(opened);
    await rm(dataDir, { recursive: true, force: true });
  });
  const { port } = await server.listen({ port: 0 });
  const { engine } = opened;
  const keyFor = async (tenant: string, scopes: Scope[] = ["read", "write"]): Promise<string> =>
    (await engine.keys.create(LOCAL_OPERATOR, { name: "test", tenant, scopes })).secret;
  const key = await keyFor("acme");
  const ask = (path: string, { method = "GET", headers = {}, body }: AskOptions = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = request({ host: "127.0.0.1", port, path, method, headers: { host: `127.0.0.1:${port}`, ...headers } }, (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => void pieces.push(piece));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces).toString() }),
        );
        response.on("error", reject);
      });
      asked.on("error", reject);
      asked.end(body);
    });
  const hostOf = ({ id }: Sandbox, inside: number): string => `${inside}-${id}.localhost:${port}`;
  let version = 0;
  const door: PreviewTestDoor = {
    opened, server, port, key, keyFor, ask, hostOf,
    async sandbox(network, wanted = {}) {
      version++;
      await engine.profiles.apply(TENANT, { kind: "profile", name: "web", version, network });
      return (await engine.create(TENANT, { profile: `web@${version}`, ...wanted }, {})).sandbox;
    },
    async call(method: string, path: string, body?: unknown, as = key) {
      const answer = await ask(path, {
        method,
        headers: { authorization: `Bearer ${as}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: (answer.body === "" ? undefined : JSON.parse(answer.body)) as unknown };
    },
    visit: (sandbox, inside, path = "/", { headers = {}, ...options } = {}) =>
      ask(path, { ...options, headers: { host: hostOf(sandbox, inside), ...headers } }),
    async address(sandbox, inside, body = {}) {
      return (await door.call("POST", `/v1/sandboxes/${sandbox.id}/ports/${inside}/address`, body)).body as PortAddress;
    },
    async start(sandbox, shell) {
      await engine.processes.start(TENANT, sandbox.id, { shell });
    },
    async serve(sandbox, ...ports) {
      await runCommand(engine, TENANT, sandbox.id, { shell: "echo hello > index" });
      for (const inside of ports) {
        await door.start(sandbox, `httpd ${inside}`);
        await untilOpen(opened, sandbox, inside);
      }
    },
  }; // prettier-ignore
  return door;
}

/** Waits until something listens inside. Fails by the test's own limit. */
export async function untilOpen({ engine }: Opened, { id }: Sandbox, port: number): Promise<void> {
  for (;;) {
    try {
      return void (await engine.ports.connect(TENANT, id, port)).stream.destroy();
    } catch (thrown) {
      if (!(thrown instanceof SandboxerError && thrown.code === "port_closed")) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** Starts a program in a local sandbox, from a file; resolves once it listens. */
export async function startServer(door: PreviewTestDoor, sandbox: Sandbox, port: number, file: string, source: string): Promise<void> {
  const bytes = (async function* () {
    yield Buffer.from(source);
  })();
  await door.opened.engine.files.write(TENANT, sandbox.id, file, bytes, {});
  await door.start(sandbox, `${file.endsWith(".py") ? "python3" : "node"} ${file} >/tmp/${port}.log 2>&1`);
  await untilOpen(door.opened, sandbox, port);
}

/** The path and query of an address that was made. */
export function pathOf(address: PortAddress): string {
  const { pathname, search } = new URL(address.url);
  return pathname + search;
}

/** The cookie that an answer sets, as it is sent back. */
export function cookieOf({ headers }: Answer): string {
  return (headers["set-cookie"] ?? []).map((line) => line.split(";")[0]).join("; ");
}
