import { z } from "zod";
import { SandboxerError, type ErrorDetails } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../shared/abort.ts";
import { httpFailure, isFromApi, networkFailure } from "./failure.ts";
import { matches } from "./labels.ts";
import type { Settings } from "./options.ts";
import type { Api, ConnectionOptions, Sdk } from "./sdk.ts";

const Metadata = z.record(z.string(), z.string()).nullish().transform((given) => given ?? {}); // prettier-ignore
const optionalText = z.string().nullish().transform((text) => text ?? undefined); // prettier-ignore
/** What addresses a sandbox's agent, in answers to create and to info. */
const Identity = z.object({ sandboxID: z.string().min(1), envdVersion: z.string(), envdAccessToken: optionalText, domain: optionalText });
const State = z.enum(["running", "paused"]);
const Info = Identity.extend({ state: State, metadata: Metadata, startedAt: z.iso.datetime({ offset: true }) });
const List = z.array(
  z.object({ sandboxID: z.string().min(1), state: State, metadata: Metadata, startedAt: z.iso.datetime({ offset: true }) }),
);

export type Identity = z.output<typeof Identity>;
export type Info = z.output<typeof Info>;
export type ListedSandbox = z.output<typeof List>[number];

/** Of one list answer. E2B gives no more at once. */
const PAGE = 100;

/**
 * E2B's control plane over the SDK's own client. Nothing is retried here: who asked knows whether it may be, and a 429 carries the time to
 * wait. Every call throws what it could not learn.
 */
export class Control {
  readonly connection: ConnectionOptions;
  readonly #api: Api;
  readonly #backend: string;

  constructor(sdk: Sdk, key: string, settings: Settings, backend: string) {
    // All of it is given: what is left out the SDK reads from the process's environment, for every account alike.
    this.connection = {
      apiKey: key,
      domain: settings.domain,
      apiUrl: settings.apiUrl,
      ...(settings.sandboxUrl === undefined ? {} : { sandboxUrl: settings.sandboxUrl }),
      debug: false,
      retries: 0,
      requestTimeoutMs: settings.requestTimeoutMs,
    };
    this.#api = new sdk.ApiClient(new sdk.ConnectionConfig(this.connection)).api;
    this.#backend = backend;
  }

  /** Sends one create. What it throws for a request that got no answer is the raw failure, for whoever must know whether it was sent. */
  async create(body: object, signal: AbortSignal): Promise<Identity> {
    const answer = await this.#api.POST("/v2/sandboxes", { body, signal: this.within(signal) });
    if (answer.response.ok) {
      const identity = Identity.safeParse(answer.data);
      if (identity.success) return identity.data;
      // Something was made all the same.
      throw new SandboxerError("backend_unavailable", "E2B answered a create with what cannot be read", this.#details("create"));
    }
    // What is not there is the template.
    const failure = this.#failure(answer.response, answer.error, "create");
    if (failure.code !== "sandbox_not_found" && failure.code !== "wrong_state") throw failure;
    throw new SandboxerError("backend_rejected", failure.message, failure.details);
  }

  async info(native: string, signal: AbortSignal, phase: string): Promise<Info | "absent"> {
    const { response, data, error } = await this.#ask(signal, phase, (within) =>
      this.#api.GET("/sandboxes/{sandboxID}", { params: { path: { sandboxID: native } }, signal: within }),
    );
    if (response.ok) return this.#parse(Info, data, phase);
    if (response.status === 404 && isFromApi(404, error)) return "absent";
    throw this.#failure(response, error, phase);
  }

  /** Running and paused ones alike. Resolves on E2B's own word; any other 404 than the API's is an error. */
  async kill(native: string, signal: AbortSignal): Promise<"destroyed" | "absent"> {
    const { response, error } = await this.#ask(signal, "destroy", (within) =>
      this.#api.DELETE("/sandboxes/{sandboxID}", { params: { path: { sandboxID: native } }, signal: within }),
    );
    if (response.ok) return "destroyed";
    if (response.status === 404 && isFromApi(404, error)) return "absent";
    throw this.#failure(response, error, "destroy");
  }

  /** All with that metadata, page after page. */
  async *list(metadata: Readonly<Record<string, string>>, signal: AbortSignal, phase = "list"): AsyncGenerator<ListedSandbox> {
    // The wire has each part escaped, then all of it as a query string, which the client escapes once more.
    const pairs = Object.entries(metadata).map(([name, value]) => [encodeURIComponent(name), encodeURIComponent(value)]);
    const filter = new URLSearchParams(pairs).toString();
    const seen = new Set<string>();
    for (let token: string | undefined; ;) {
      const query = { metadata: filter, state: ["running", "paused"], limit: PAGE, ...(token === undefined ? {} : { nextToken: token }) };
      const { response, data, error } = await this.#ask(signal, phase, (within) =>
        this.#api.GET("/v2/sandboxes", { params: { query }, signal: within }),
      );
      if (!response.ok) throw this.#failure(response, error, phase);
      for (const sandbox of this.#parse(List, data, phase)) if (matches(sandbox.metadata, metadata)) yield sandbox;
      token = response.headers.get("x-next-token") ?? undefined;
      if (token === undefined || token === "") return;
      if (seen.has(token)) throw new SandboxerError("backend_rejected", "E2B's list goes round in a circle", this.#details(phase));
      seen.add(token);
    }
  }

  /** The caller's signal, and the time that one request may take. */
  within(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, AbortSignal.timeout(this.connection.requestTimeoutMs)]);
  }

  async #ask<Answer>(signal: AbortSignal, phase: string, call: (within: AbortSignal) => Promise<Answer>): Promise<Answer> {
    throwIfAborted(signal);
    try {
      return await call(this.within(signal));
    } catch (thrown) {
      throw signal.aborted ? whyAborted(signal).with(this.#details(phase)) : networkFailure(thrown, this.#details(phase));
    }
  }

  #parse<Schema extends z.ZodType>(schema: Schema, data: unknown, phase: string): z.output<Schema> {
    const parsed = schema.safeParse(data);
    if (parsed.success) return parsed.data;
    const { path = [], message = "" } = parsed.error.issues[0] ?? {};
    throw new SandboxerError("backend_rejected", `E2B answered what cannot be read: ${path.join(".")}: ${message}`, this.#details(phase));
  }

  #failure(response: Response, body: unknown, phase: string): SandboxerError {
    const failure = httpFailure(response, body, this.#details(phase));
    // A gateway may answer with what it was sent.
    return new SandboxerError(failure.code, failure.message.replaceAll(this.connection.apiKey, "[key]"), failure.details);
  }

  #details(phase: string): ErrorDetails {
    return { phase, backend: this.#backend };
  }
}
