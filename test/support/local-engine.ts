import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config, CreateRequest, ExecEvent, PriceConfig, Principal, Sandbox, Scope } from "../../src/contract/index.ts";
import { LOCAL_OPERATOR, SANDBOX_STATES } from "../../src/contract/index.ts";
import type { Engine, ExecInput } from "../../src/engine/engine.ts";
import { openSandboxer, type Opened, serverOver } from "../../src/main.ts";
import { mountsBelow } from "./host-objects.ts";
import { leaveProbes, takeProbes } from "./probed.ts";

export const OWNER: Principal = { tenant: "acme", key_id: null, scopes: ["read", "write"] };

/** Own hosts are not free. */
export const PRICE: PriceConfig = { vcpu_hour: 36, gb_hour: 1 };

/** A directory for an engine's data, which the ids of sandboxes may pass through. */
export function dataDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `sbx-${name}-`));
  chmodSync(directory, 0o711);
  return directory;
}

export interface LocalOptions {
  /** Only that runtime; the provider's own choice unless given. */
  readonly runtime?: string;
  readonly config?: Config;
  /** What the local backend costs; nothing unless given. */
  readonly price?: PriceConfig;
  readonly dataDir?: string;
  /** Sweeps at intervals, as a server does. */
  readonly stays?: boolean;
}

/** The configuration of the local provider for tests: few prepared disks, since each costs a loop device. */
export function localConfig({ runtime, config = {}, price }: Pick<LocalOptions, "runtime" | "config" | "price"> = {}): Config {
  const options = { pool: 2, ...(runtime === undefined ? {} : { runtimes: [runtime] }) };
  return {
    log_level: "silent",
    backends: [{ name: "local", provider: "local", options, ...(price === undefined ? {} : { price }) }],
    ...config,
  };
}

/** A real engine over the real local provider, in a directory of its own; with it everything it made goes away. */
export interface Local extends AsyncDisposable {
  readonly engine: Engine;
  readonly opened: Opened;
  readonly dataDir: string;
  readonly create: (request?: CreateRequest, who?: Principal) => Promise<Sandbox>;
  readonly exec: (id: string, input: Partial<ExecInput>, who?: Principal) => Promise<Ran>;
  readonly sh: (id: string, shell: string, who?: Principal) => Promise<Ran>;
  /** Starts a listening server over it. */
  readonly listen: () => Promise<{ url: string; key: (tenant?: string, scopes?: Scope[]) => Promise<string> }>;
}

export async function openLocal(name: string, options: LocalOptions = {}): Promise<Local> {
  const dataDir = options.dataDir ?? dataDirectory(name);
  const [backend, runtimes] = [join(dataDir, "backends", "local"), options.runtime === undefined ? undefined : [options.runtime]];
  if (options.dataDir === undefined) takeProbes(backend, runtimes);
  const opened = await openSandboxer({ dataDir, config: localConfig(options), stays: options.stays ?? false });
  leaveProbes(backend, runtimes);
  const { engine } = opened;
  const closers: (() => Promise<void>)[] = [];
  const exec: Local["exec"] = (id, input, who = OWNER) => runCommand(engine, who, id, input);
  return {
    engine,
    opened,
    dataDir,
    exec,
    sh: (id, shell, who) => exec(id, { shell }, who),
    create: async (request = {}, who = OWNER) => (await engine.create(who, request, {})).sandbox,
    async listen() {
      const server = await serverOver(opened);
      closers.push(() => server.close());
      const { url } = await server.listen({ port: 0 });
      const key = async (tenant = "acme", scopes: Scope[] = ["read", "write"]): Promise<string> =>
        (await engine.keys.create(LOCAL_OPERATOR, { name: "test", tenant, scopes })).secret;
      return { url, key };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
      await cleanUp(opened);
    },
  };
}

export interface Ran {
  readonly outcome: string;
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  readonly truncated: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function runCommand(engine: Engine, who: Principal, id: string, input: Partial<ExecInput>): Promise<Ran> {
  const { events } = await engine.exec(who, id, { stdin: { kind: "none" }, maxOutputBytes: 8 * 1024 ** 2, ...input });
  return endOf(events);
}

export async function endOf(events: AsyncIterable<ExecEvent>): Promise<Ran> {
  const text = { stdout: "", stderr: "" };
  for await (const event of events) {
    if (event.type === "stdout" || event.type === "stderr") text[event.type] += Buffer.from(event.data).toString("latin1");
    if (event.type === "exited") {
      const { outcome, exitCode, oomKilled, truncated } = event;
      return { outcome, exitCode, oomKilled, truncated, ...text };
    }
  }
  throw new Error("the stream of an exec had no end");
}

/** Every sandbox that the ledger takes for live. */
export async function liveIds(engine: Engine): Promise<string[]> {
  const ids: string[] = [];
  const states = SANDBOX_STATES.filter((state) => state !== "terminated" && state !== "failed");
  for (let cursor: string | undefined; ;) {
    const page = await engine.list(LOCAL_OPERATOR, { states, limit: 100, allTenants: true, ...(cursor === undefined ? {} : { cursor }) });
    ids.push(...page.data.map(({ id }) => id));
    if (page.next_cursor === null) return ids.sort();
    cursor = page.next_cursor;
  }
}

/** Ends every sandbox, lets go of the engine and removes its directory with all mounts in it. */
export async function cleanUp(opened: Opened): Promise<void> {
  const { engine, dataDir } = opened;
  for (const id of await liveIds(engine)) await engine.destroy(LOCAL_OPERATOR, id);
  await engine.sweep();
  await opened.close();
  removeDataDirectory(dataDir);
}

/** Without an engine: unmounts and removes. */
export function removeDataDirectory(dataDir: string): void {
  for (const mount of mountsBelow(dataDir).reverse()) spawnSync("umount", ["-n", "-l", mount]);
  rmSync(dataDir, { recursive: true, force: true });
}
