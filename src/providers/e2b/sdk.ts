import { SandboxerError } from "../../contract/index.ts";

/**
 * What is used of the `e2b` package, by shape: it is an optional peer, so nothing of it may be needed for our types. Its control-plane
 * client answers with the HTTP response, and so with the status and Retry-After that the errors of its classes leave out;
 * and its process client gives bytes as they come, where `commands.run` makes text of them and keeps all of it.
 */
export interface Sdk {
  readonly ConnectionConfig: new (options: ConnectionOptions) => object;
  readonly ApiClient: new (config: object) => { readonly api: Api };
  readonly Sandbox: new (options: ConnectionOptions & SandboxIdentity) => { readonly commands: object };
}

export interface ConnectionOptions {
  readonly apiKey: string;
  readonly domain: string;
  readonly apiUrl: string;
  readonly sandboxUrl?: string;
  readonly debug: false;
  readonly retries: 0;
  readonly requestTimeoutMs: number;
}

/** What addresses one sandbox on the data plane. */
export interface SandboxIdentity {
  readonly sandboxId: string;
  readonly envdVersion: string;
  readonly envdAccessToken?: string;
  readonly sandboxDomain?: string;
}

interface Answered {
  readonly data?: unknown;
  readonly error?: unknown;
  readonly response: Response;
}
type Call = (path: string, init: { params?: object; body?: object; signal: AbortSignal }) => Promise<Answered>;

export interface Api {
  readonly GET: Call;
  readonly POST: Call;
  readonly DELETE: Call;
}

interface CallOptions {
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the process, for `start`; 0 for none. */
  readonly timeoutMs?: number;
}
type Selected = { readonly process: { readonly selector: { readonly case: "tag"; readonly value: string } } };

export interface StartRequest {
  readonly process: { readonly cmd: string; readonly args: readonly string[]; readonly envs: Readonly<Record<string, string>> };
  readonly tag: string;
  readonly stdin: true;
}

/** One event of a process's stream; what is not listed is a sign of life. */
export interface ProcessEvent {
  readonly event?: {
    readonly event:
      | { readonly case: "data"; readonly value: { readonly output: { readonly case: string; readonly value: Uint8Array } } }
      | { readonly case: "end"; readonly value: { readonly error?: string } }
      | { readonly case: "start" | "keepalive" | undefined };
  };
}

/** The SDK's own client of E2B's agent in a sandbox. */
export interface ProcessClient {
  start(request: StartRequest, options: CallOptions): AsyncIterable<ProcessEvent>;
  list(request: object, options: CallOptions): Promise<{ readonly processes: readonly { readonly tag?: string }[] }>;
  sendInput(request: Selected & { input: { input: { case: "stdin"; value: Uint8Array } } }, options: CallOptions): Promise<unknown>;
  sendSignal(request: Selected & { signal: number }, options: CallOptions): Promise<unknown>;
}

export const SDK_PACKAGE = "e2b@^2.51.0";
const HINT = { phase: "open", hint: `Run: npm install ${SDK_PACKAGE}` };

/**
 * Loads the SDK, which is not among our own dependencies.
 *
 * @throws SandboxerError `provider_missing_dependency` where it is not installed, or is of a version without what is needed.
 */
export async function loadSdk(): Promise<Sdk> {
  let module: Partial<Sdk>;
  try {
    module = (await import("e2b")) as unknown as Partial<Sdk>;
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND")) throw cause;
    throw new SandboxerError("provider_missing_dependency", "the provider e2b needs the npm package e2b, which is not installed", {
      ...HINT,
      cause,
    });
  }
  const { ConnectionConfig, ApiClient, Sandbox } = module;
  if (ConnectionConfig === undefined || ApiClient === undefined || Sandbox === undefined) throw unsuitable("it does not export ApiClient, ConnectionConfig and Sandbox"); // prettier-ignore
  return { ConnectionConfig, ApiClient, Sandbox };
}

/** The process client of a sandbox. It is a protected field: seen here, and not where it is first used. */
export function processClient(commands: object): ProcessClient {
  const { rpc } = commands as { rpc?: Partial<ProcessClient> };
  const { start, list, sendInput, sendSignal } = rpc ?? {};
  if ([start, list, sendInput, sendSignal].some((method) => typeof method !== "function"))
    throw unsuitable("its commands have no process client");
  return rpc as ProcessClient;
}

function unsuitable(why: string): SandboxerError {
  return new SandboxerError("provider_missing_dependency", `the installed version of the npm package e2b does not fit: ${why}`, HINT);
}
