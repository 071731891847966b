import { mkdirSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type BackendConfig,
  type Config,
  type Logger,
  parse,
  type Provider,
  type ProviderModule,
  SandboxerError,
  type Traits,
} from "../contract/index.ts";

/** A configured provider as the engine holds it. */
export interface Backend {
  readonly name: string;
  /** "local", "fake", the package or the path, as configured. */
  readonly providerName: string;
  /** Its sandboxes die with this machine's power, so its rows need not outlive a power cut. */
  readonly onThisHost: boolean;
  /** null where it could not be opened; `problem` then says why, and the sweep tries again. */
  provider: Provider | null;
  problem: SandboxerError | null;
  /** How it answered the last sweep's list; null before the first. */
  lastAnswer: { ok: boolean; detail: string | null } | null;
  /** Opens it if it is not open. Never throws: the outcome is in `provider` and `problem`. */
  open(): Promise<void>;
  /** Resolves when no opening is under way. */
  settled(): Promise<void>;
}

export interface OpenBackendsOptions {
  /** Providers that come with sand-boxer, by name. */
  readonly builtIn: Readonly<Record<string, ProviderModule>>;
  /** Names this data directory in every label: see {@link dataDirectoryId}. */
  readonly instance: string;
  /** In a fleet: stands in the labels at backends that every control plane reaches, so that each finds what another one made. */
  readonly fleet?: string;
  readonly log: Logger;
  /** Whether this process stays (true), which providers are told. */
  readonly stays?: boolean;
  readonly failpoint?: (name: string) => void;
}

const DEFAULT_BACKENDS: BackendConfig[] = [{ name: "local", provider: "local" }];

/** What a backend that is not open can do. */
export function traitsOf(backend: Backend): Traits {
  if (backend.provider !== null) return backend.provider.traits;
  return { isolation: [], capabilities: {}, limits: {}, unavailable: backend.problem?.message ?? "not open yet" };
}

/** Its provider, or the error that it could not be opened with. */
export function opened(backend: Backend): Provider {
  if (backend.provider !== null) return backend.provider;
  throw backend.problem ?? new SandboxerError("backend_unavailable", `backend ${backend.name} is not open`, { backend: backend.name });
}

function hasCode(thrown: unknown, codes: readonly string[]): boolean {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" && codes.includes(thrown.code);
}

async function load(
  config: BackendConfig,
  dataDirectory: string,
  builtIn: Readonly<Record<string, ProviderModule>>,
): Promise<ProviderModule> {
  const known = builtIn[config.provider];
  if (known !== undefined) return known;
  const isPath = config.provider.startsWith(".") || isAbsolute(config.provider);
  const specifier = isPath ? pathToFileURL(resolve(dataDirectory, config.provider)).href : config.provider;
  const where = { phase: "open", backend: config.name };
  let module: { default?: unknown };
  try {
    module = (await import(specifier)) as { default?: unknown };
  } catch (thrown) {
    if (!hasCode(thrown, ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND", "ERR_UNSUPPORTED_DIR_IMPORT"]))
      throw SandboxerError.from(thrown, where);
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    const hint = isPath ? `Correct the path; relative ones start at ${dataDirectory}.` : `Run: npm install ${config.provider}`;
    throw new SandboxerError(
      "provider_missing_dependency",
      `backend ${config.name}: provider "${config.provider}" cannot be loaded: ${detail}`,
      { ...where, hint, cause: thrown },
    );
  }
  const found = module.default as Partial<ProviderModule> | undefined;
  if (typeof found?.open !== "function" || typeof found.options?.safeParse !== "function" || typeof found.name !== "string") {
    throw new SandboxerError("invalid_request", `backend ${config.name}: the default export of "${config.provider}" is not a provider`, {
      ...where,
      hint: "Export defineProvider({name, options, open}) as default.",
    });
  }
  return found as ProviderModule;
}

/**
 * Loads and opens what the configuration names (only `local` where it names nothing). A provider that cannot be opened
 * now stays in the list with its problem.
 *
 * @throws SandboxerError `provider_missing_dependency` or `invalid_request` for what only the operator can correct.
 */
export async function openBackends(config: Config, dataDirectory: string, options: OpenBackendsOptions): Promise<Backend[]> {
  const configured = (config.backends ?? DEFAULT_BACKENDS).filter((backend) => backend.enabled !== false);
  const twice = configured.find((backend, index) => configured.findIndex(({ name }) => name === backend.name) !== index);
  if (twice !== undefined) throw new SandboxerError("invalid_request", `two backends are named "${twice.name}"`, { phase: "open" });
  const backends = await Promise.all(configured.map((backend) => prepareBackend(backend, dataDirectory, options)));
  await Promise.all(backends.map((backend) => backend.open()));
  return backends;
}

/** Whether only this host reaches its sandboxes: of other people's providers nothing is known, so theirs are taken for remote. */
export function isOnThisHost(config: BackendConfig, builtIn: Readonly<Record<string, ProviderModule>>): boolean {
  const module = Object.hasOwn(builtIn, config.provider) ? builtIn[config.provider] : undefined;
  return module !== undefined && module.remote?.(optionsOf(config, module)) !== true;
}

function optionsOf(config: BackendConfig, { options }: ProviderModule): unknown {
  return parse(options, config.options ?? {}, { what: `backends.${config.name}.options` });
}

/**
 * Loads a backend's provider and checks its options, without opening it.
 *
 * @throws SandboxerError `provider_missing_dependency`, `invalid_request`.
 */
export async function prepareBackend(
  config: BackendConfig,
  dataDirectory: string,
  { builtIn, instance, fleet, log, stays = true, failpoint = () => {} }: OpenBackendsOptions,
): Promise<Backend> {
  const module = await load(config, dataDirectory, builtIn);
  const options = optionsOf(config, module);
  const directory = join(dataDirectory, "backends", config.name);
  let opening: Promise<void> | null = null;
  const onThisHost = isOnThisHost(config, builtIn);
  const label = onThisHost ? instance : (fleet ?? instance);
  const backend: Backend = {
    name: config.name,
    providerName: config.provider,
    onThisHost,
    provider: null,
    problem: null,
    lastAnswer: null,
    open() {
      if (backend.provider !== null) return Promise.resolve();
      opening ??= attempt().finally(() => {
        opening = null;
      });
      return opening;
    },
    settled: () => opening ?? Promise.resolve(),
  };
  async function attempt(): Promise<void> {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o711 });
      backend.provider = await module.open(options, { backend: config.name, directory, instance: label, log, stays, failpoint });
      backend.problem = null;
    } catch (thrown) {
      backend.problem = SandboxerError.from(thrown, { phase: "open", backend: config.name });
      log.warn({ backend: config.name, code: backend.problem.code }, `backend cannot be opened: ${backend.problem.message}`);
    }
  }
  return backend;
}
