import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Sandbox as NewestSandbox } from "e2b";
import { Sandbox as OlderSandbox } from "e2b-2.45";
import { onTestFinished } from "vitest";
import { LOCAL_OPERATOR, type Config, type Scope } from "../../../src/contract/index.ts";
import { openSandboxer, serverOver, type Opened } from "../../../src/main.ts";

/** The official SDK in the versions this door is held against: the first with `/v2` paths, and one from before. */
export const SDKS = [
  { version: "2.51.0", name: "e2b", Sandbox: NewestSandbox },
  { version: "2.45.0", name: "e2b-2.45", Sandbox: OlderSandbox as unknown as typeof NewestSandbox },
] as const;

/** What an SDK is pointed at a server with. */
export interface Connection {
  apiKey: string;
  apiUrl: string;
  sandboxUrl: string;
}

export interface E2bTestDoor {
  url: string;
  dataDir: string;
  opened: Opened;
  /** For a new key of the tenant, in E2B's form. */
  connection(tenant?: string, scopes?: Scope[]): Promise<Connection>;
  /** A call with a key, as an SDK would make it. */
  call(path: string, init?: RequestInit): Promise<Response>;
  /** Safe to repeat. */
  close(): Promise<void>;
}

const FAKE: Config = { backends: [{ name: "memory", provider: "fake", options: { isolation: "container" } }], log_level: "silent" };

/** A listening server over the real engine, with the backend that is only in memory unless told otherwise; closed when the test ends. */
export async function openE2bDoor(config: Config = {}, at: { dataDir?: string } = {}): Promise<E2bTestDoor> {
  const dataDir = at.dataDir ?? (await mkdtemp(join(tmpdir(), "sbx-e2b-")));
  const opened = await openSandboxer({ dataDir, config: { ...FAKE, ...config } });
  const server = await serverOver(opened);
  const close = async (): Promise<void> => {
    await server.close();
    await opened.close();
  };
  onTestFinished(async () => {
    await close();
    if (at.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  });
  const { url } = await server.listen({ port: 0 });
  const connection = async (tenant = "acme", scopes: Scope[] = ["read", "write"]): Promise<Connection> => {
    const { secret } = await opened.engine.keys.create(LOCAL_OPERATOR, { name: "test", tenant, scopes });
    return { apiKey: secret.replace(/^sbx_/, "e2b_"), apiUrl: url, sandboxUrl: url };
  };
  const own = await connection();
  const call = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (!headers.has("x-api-key")) headers.set("x-api-key", own.apiKey);
    if (init.body !== undefined) headers.set("content-type", "application/json");
    return fetch(url + path, { ...init, headers });
  };
  return { url, dataDir, opened, connection, call, close };
}
