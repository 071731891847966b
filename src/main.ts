/** The composition root: the only place that knows every room. */
import { hostname } from "node:os";
import { join } from "node:path";
import { dataDirectory } from "./cli/data-directory.ts";
import { version } from "./cli/version.ts";
import {
  type BackendConfig,
  type Config,
  LOCAL_OPERATOR,
  SandboxerError,
  type Finding,
  type Logger,
  type ProviderModule,
} from "./contract/index.ts";
import { ledgerAddress, makeDataDirectory, parseYaml, readConfig, readPrices } from "./configuration.ts";
import type { PlainInit } from "./contract/plain-web.ts";
import { isOnThisHost, openBackends, prepareBackend } from "./engine/backends.ts";
import type { FleetHost } from "./engine/context.ts";
import { createEngine } from "./engine/create-engine.ts";
import { dataDirectoryId } from "./engine/data-directory.ts";
import type { Engine } from "./engine/engine.ts";
import { loadShippedProfiles } from "./engine/shipped-profiles.ts";
import { boundaryFrom, openSealer, type Sealer, withholdCoreDumps } from "./guard/index.ts";
import { fleetId, openLedger } from "./ledger/index.ts";
import { rememberingIn } from "./remember.ts";
import type { E2bOptions } from "./server/e2b/index.ts";
import type { SandboxerServer } from "./server/server.ts";
import type { OtlpTelemetry } from "./telemetry/otlp.ts";
import { telemetryFrom } from "./telemetry-from-config.ts";

export interface OpenOptions {
  /** Where everything is kept; SANDBOXER_DATA or its default unless given. Made where it is missing. */
  dataDir?: string;
  /** Instead of `sand-boxer.yaml` in the data directory, or the file that SANDBOXER_CONFIG names. */
  config?: Config;
  log?: Logger;
  /** For a process that stays: sweeps at intervals, and logs from `info` on unless the configuration says otherwise. */
  stays?: boolean;
  /** Called with the name of each step that a test may end the process at. */
  failpoint?: (name: string) => void;
}

/** An engine and what it was made of. */
export interface Opened {
  readonly engine: Engine;
  readonly config: Config;
  readonly dataDir: string;
  readonly log: Logger;
  /** Present where traces and metrics go somewhere. */
  readonly telemetry?: OtlpTelemetry;
  /** Lets go of everything; sandboxes live on. Safe to repeat. */
  close(): Promise<void>;
}

/** Providers that come with sand-boxer; each is loaded where the configuration names it. */
const BUILT_IN: Readonly<Record<string, () => Promise<{ default: unknown }>>> = {
  local: () => import("./providers/local/index.ts"),
  fake: () => import("./providers/fake/index.ts"),
  e2b: () => import("./providers/e2b/index.ts"),
  docker: () => import("./providers/docker/index.ts"),
  ssh: () => import("./providers/ssh/index.ts"),
};

/**
 * Opens an engine over a data directory. Several processes may share one: each leaves alone what another one works on.
 *
 * @throws SandboxerError `storage_unavailable` for a data directory or ledger that cannot be used, `invalid_request` for
 * a configuration that is wrong, naming the field.
 */
export async function openSandboxer(options: OpenOptions = {}): Promise<Opened> {
  const { dataDir = dataDirectory(), stays = false, failpoint } = options;
  makeDataDirectory(dataDir);
  const config = options.config ?? readConfig(dataDir);
  const log = options.log ?? (await openLog(config.log_level ?? (stays ? "info" : "silent")));
  const telemetry = await telemetryFrom(config.telemetry, { version: version(), instance: dataDirectoryId(dataDir) });
  const ledger = openLedger(dataDir, ledgerAddress(config));
  try {
    await ledger.ready();
    const instance = dataDirectoryId(dataDir);
    const traced = telemetry === undefined ? {} : { telemetry };
    const points = failpoint === undefined ? {} : { failpoint };
    const member = ledger.shared ? { fleet: await fleetId(ledger) } : {};
    const opening = { instance, log, stays, ...member, ...points };
    const backends = await openBackends(config, dataDir, { builtIn: await builtInFor(config), ...opening });
    const shippedProfiles = loadShippedProfiles(
      join(import.meta.dirname, "../profiles"),
      parseYaml,
      rememberingIn(join(dataDir, "cache", "profiles")),
    );
    const prices = readPrices(dataDir, config);
    const hooks = { sealer: storeIn(dataDir, log), boundary: boundaryFrom(dataDir, config), prices, ...points, ...traced };
    const engine = await createEngine({
      ledger,
      backends,
      config,
      log,
      shippedProfiles,
      background: stays,
      prepare: async (backend) => prepareBackend(backend, dataDir, { builtIn: await builtInFor({ backends: [backend] }), ...opening }),
      ...hostIn(ledger.shared, instance, config),
      ...hooks,
    });
    telemetry?.measure(() => engine.metrics());
    let closing: Promise<void> | undefined;
    const closeAll = async () => {
      try {
        await engine.close();
      } finally {
        // The last metrics are read from the ledger.
        await telemetry?.close();
        await ledger.close();
      }
    };
    const close = () => (closing ??= closeAll());
    return { engine, config, dataDir, log, close, ...traced };
  } catch (thrown) {
    await ledger.close();
    throw thrown;
  }
}

/** This host as the rest of its fleet knows it. */
function hostIn(shared: boolean, id: string, { fleet = {} }: Config): { host?: FleetHost } {
  return shared ? { host: { id, name: fleet.name ?? hostname(), address: fleet.address ?? null } } : {};
}

/** The store of secrets, opened when one is first needed; from then on this process leaves no memory in a core dump. */
function storeIn(dataDir: string, log: Logger): () => Sealer {
  let sealer: Sealer | undefined;
  return () => {
    if (sealer !== undefined) return sealer;
    sealer = openSealer(dataDir);
    if (!withholdCoreDumps()) log.warn({}, "core dumps of this process would hold secrets: /proc/self/coredump_filter cannot be written");
    return sealer;
  };
}

/** The HTTP door over an opened engine; it listens when told to. */
export async function serverOver(opened: Opened): Promise<SandboxerServer> {
  const { config, dataDir } = opened;
  if (config.e2b?.enabled === false) return plainServer(opened);
  const { tokenSecret } = await import("./server/token-secret.ts");
  let secret: Uint8Array | undefined;
  return plainServer(opened, { secret: () => (secret ??= tokenSecret(dataDir, "e2b")), ...domainOf(config) });
}

/** Our own API and published ports, with the E2B wire beside them where that is given. */
async function plainServer({ engine, config, dataDir, log, telemetry }: Opened, e2b?: E2bOptions): Promise<SandboxerServer> {
  const [{ createServer }, { tokenSecret }] = await Promise.all([import("./server/server.ts"), import("./server/token-secret.ts")]);
  const { max_body_bytes: maxBodyBytes, max_upload_bytes: maxUploadBytes } = config.limits ?? {};
  const limits = { ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }), ...(maxUploadBytes === undefined ? {} : { maxUploadBytes }) };
  let secret: Uint8Array | undefined;
  const { enabled: published = true, https = false } = config.preview ?? {};
  const preview = { secret: () => (secret ??= tokenSecret(dataDir, "preview")), https, ...domainOf(config) };
  return createServer({
    engine,
    log,
    version: version(),
    limits,
    ...(telemetry === undefined ? {} : { telemetry }),
    ...(e2b === undefined ? {} : { e2b }),
    ...(published ? { preview } : {}),
  });
}

function domainOf({ e2b }: Config): { domain?: string } {
  return e2b?.domain === undefined ? {} : { domain: e2b.domain };
}

/**
 * Listens with TLS where the configuration asks for it, with the operator's certificate or one made for development.
 * Resolves with what clients need to reach it; undefined where it is not asked for.
 *
 * @throws SandboxerError `invalid_request` for a domain or a certificate that cannot be used, `provider_missing_dependency`
 * without `openssl`, `conflict` where the address is taken.
 */
export async function listenWithTls(
  { config, dataDir }: Opened,
  server: SandboxerServer,
): Promise<{ domain: string; authority: string | undefined } | undefined> {
  const { tls, domain, enabled = true } = config.e2b ?? {};
  if (tls === undefined || (!enabled && config.preview?.enabled === false)) return undefined;
  if (domain === undefined) throw new SandboxerError("invalid_request", "e2b.tls needs e2b.domain, the name it is for", { phase: "open" });
  const { certificateFrom, developmentCertificate } = await import("./server/e2b/certificate.ts");
  const { certificate, key, host, port } = tls;
  const files =
    certificate === undefined || key === undefined
      ? await developmentCertificate(dataDir, domain)
      : await certificateFrom({ certificate, key });
  const listening = await server.listenTls({
    certificate: files.certificate,
    key: files.key,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
  });
  return { domain: domain.includes(":") ? domain : `${domain}:${listening.port}`, authority: files.authority };
}

/** The API in this process as the local operator, in the form of `fetch`: for the SDK, without a connection. */
export async function localFetch(opened: Opened): Promise<(url: string, init: PlainInit) => Promise<Response>> {
  const server = await plainServer(opened);
  return (url, init) => server.call(url, init, { principal: LOCAL_OPERATOR });
}

/** Examines this host for the local provider, where that is configured, and every other configured backend. Changes nothing. */
export async function diagnose({ dataDir = dataDirectory() }: { dataDir?: string } = {}): Promise<Finding[]> {
  makeDataDirectory(dataDir);
  const config = readConfig(dataDir);
  const configured = config.backends ?? [{ name: "local", provider: "local" }];
  const own = configured.find(({ provider }) => provider === "local");
  const others = configured.filter(({ provider }) => provider !== "local");
  const { examineBackends } = await import("./engine/examine-backends.ts");
  const options = { builtIn: await builtInFor(config), instance: dataDirectoryId(dataDir), log: await openLog("silent") };
  const [here, elsewhere] = await Promise.all([
    own === undefined ? [] : hostFindings(dataDir, own),
    examineBackends(others, dataDir, options),
  ]);
  return [...elsewhere.filter(({ ok }) => !ok), ...here, ...elsewhere.filter(({ ok }) => ok)];
}

async function hostFindings(dataDir: string, backend: BackendConfig): Promise<Finding[]> {
  const { diagnose: examine } = await import("./providers/local/doctor.ts");
  return examine({ directory: join(dataDir, "backends", backend.name), options: backend.options ?? {} });
}

/** Something of ours at a backend, as its label says. */
export interface LabelledObject {
  readonly backend: string;
  readonly id: string;
  /** Empty where it is only half made. */
  readonly tenant: string;
  /** null: the backend does not say. */
  readonly running: boolean | null;
}

/**
 * Everything that the backends have of this data directory. The ledger is not asked, so it works where that is damaged;
 * nothing is ended or removed. Throws what a backend answers that cannot be opened or read.
 */
export async function listObjects(options: { dataDir?: string; config?: Config } = {}): Promise<LabelledObject[]> {
  const { dataDir = dataDirectory() } = options;
  makeDataDirectory(dataDir);
  const config = options.config ?? readConfig(dataDir);
  const log = await openLog("silent");
  const backends = await openBackends(config, dataDir, { builtIn: await builtInFor(config), instance: dataDirectoryId(dataDir), log });
  const objects: LabelledObject[] = [];
  try {
    for (const { name, provider, problem } of backends) {
      if (provider === null) throw problem ?? new SandboxerError("backend_unavailable", `backend ${name} is not open`, { backend: name });
      for await (const { id, tenant, running = null } of provider.list({ signal: new AbortController().signal, log }))
        objects.push({ backend: name, id, tenant, running });
    }
  } finally {
    for (const { provider } of backends) await provider?.dispose?.();
  }
  return objects;
}

/** Names of the configured backends whose sandboxes only this host reaches. */
export async function backendsOnThisHost(config: Config): Promise<string[]> {
  const builtIn = await builtInFor(config);
  const backends = config.backends ?? [{ name: "local", provider: "local" }];
  return backends.filter((backend) => isOnThisHost(backend, builtIn)).map(({ name }) => name);
}

async function builtInFor(config: Config): Promise<Record<string, ProviderModule>> {
  const named = new Set((config.backends ?? [{ provider: "local" }]).map(({ provider }) => provider));
  const wanted = Object.entries(BUILT_IN).filter(([name]) => named.has(name));
  return Object.fromEntries(
    await Promise.all(wanted.map(async ([name, load]) => [name, (await load()).default as ProviderModule] as const)),
  );
}

async function openLog(level: NonNullable<Config["log_level"]>): Promise<Logger> {
  const nothing = (): void => {};
  if (level === "silent") return { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const { pino } = await import("pino");
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }));
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}
