import { SandboxerError, type Op, type Ref } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../shared/abort.ts";
import type { Control, Identity } from "./control.ts";
import { CONNECT, connectCode, connectFailure } from "./failure.ts";
import type { Agent, AgentEvent, Program } from "../shared/companion/agent.ts";
import { userOf } from "./labels.ts";
import type { Settings } from "./options.ts";
import { processClient, type ProcessClient, type ProcessEvent, type Sdk } from "./sdk.ts";
import { agentUser } from "./user.ts";

/** Sandboxes whose agent's address and token are kept; one more is one request more. */
const REMEMBERED = 2000;
/** Numbers of E2B's wire. */
const SIGNALS = { SIGTERM: 15, SIGKILL: 9 } as const;
const KEEPALIVE = { "Keepalive-Ping-Interval": "50" };

interface Known {
  readonly client: ProcessClient;
  readonly user: string | undefined;
}

/** E2B's agents in sandboxes: one process client each, made when it is first needed. */
export class E2bAgents {
  readonly control: Control;
  readonly #sdk: Sdk;
  readonly #settings: Settings;
  readonly #known = new Map<string, Known>();

  constructor(sdk: Sdk, control: Control, settings: Settings) {
    this.#sdk = sdk;
    this.control = control;
    this.#settings = settings;
  }

  remember(native: string, identity: Identity, user: string | undefined): Known {
    const { envdAccessToken, envdVersion, domain } = identity;
    const { commands } = new this.#sdk.Sandbox({
      ...this.control.connection,
      sandboxId: native,
      envdVersion,
      ...(envdAccessToken === undefined ? {} : { envdAccessToken }),
      ...(domain === undefined ? {} : { sandboxDomain: domain }),
    });
    const known = { client: processClient(commands), user };
    this.#known.set(native, known);
    const oldest = this.#known.keys().next();
    if (this.#known.size > REMEMBERED && oldest.done === false) this.#known.delete(oldest.value);
    return known;
  }

  forget(native: string): void {
    this.#known.delete(native);
  }

  /**
   * The agent of a sandbox that runs. The first time in this process it asks the control plane.
   *
   * @throws SandboxerError `sandbox_not_found`, `wrong_state` where it is paused, `backend_*`.
   */
  async of(ref: Ref, op: Op, phase: string): Promise<E2bAgent> {
    throwIfAborted(op.signal);
    const known = this.#known.get(ref.native) ?? (await this.#look(ref, op.signal, phase));
    return new E2bAgent(this.control, this.#settings, ref, phase, known);
  }

  async #look(ref: Ref, signal: AbortSignal, phase: string): Promise<Known> {
    const info = await this.control.info(ref.native, signal, phase);
    if (info === "absent") throw gone(ref, phase);
    if (info.state === "paused") throw new SandboxerError("wrong_state", `sandbox ${ref.id} is paused at E2B`, { phase });
    return this.remember(ref.native, info, userOf(info.metadata));
  }
}

function gone(ref: Ref, phase: string): SandboxerError {
  return new SandboxerError("sandbox_not_found", `sandbox ${ref.id} is not at E2B any more`, { phase });
}

/** One sandbox's agent, for one job. */
class E2bAgent implements Agent {
  readonly user: string | undefined;
  readonly oom: "kernel" | undefined;
  readonly keepsInput = true;
  readonly workdir: string;
  readonly #control: Control;
  readonly #ref: Ref;
  readonly #phase: string;
  readonly #client: ProcessClient;

  constructor(control: Control, settings: Settings, ref: Ref, phase: string, { client, user }: Known) {
    this.user = user;
    this.oom = settings.isolation === "microvm" ? "kernel" : undefined;
    this.workdir = settings.workdir;
    this.#control = control;
    this.#ref = ref;
    this.#phase = phase;
    this.#client = client;
  }

  userFor(asked: string | undefined, op: Op): Promise<string | undefined> {
    return agentUser(this, asked, op);
  }

  async *start({ argv, env, user, tag, timeoutMs }: Program, signal: AbortSignal): AsyncGenerator<AgentEvent> {
    const [cmd = "", ...args] = argv;
    const as = user === undefined ? {} : { Authorization: `Basic ${Buffer.from(`${user}:`).toString("base64")}` };
    const events = this.#client.start(
      { process: { cmd, args, envs: env }, tag, stdin: true },
      { signal, headers: { ...KEEPALIVE, ...as }, ...(timeoutMs === 0 ? {} : { timeoutMs }) },
    );
    for await (const event of events) yield translated(event);
  }

  /** To the standard input of the program under that tag. */
  async send(tag: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#client.sendInput(
      { process: { selector: { case: "tag", value: tag } }, input: { input: { case: "stdin", value: bytes } } },
      { signal: this.#control.within(signal) },
    );
  }

  /** Resolves with false where no such program runs any more. */
  async signal(tag: string, name: "SIGTERM" | "SIGKILL", signal: AbortSignal): Promise<boolean> {
    try {
      await this.#client.sendSignal(
        { process: { selector: { case: "tag", value: tag } }, signal: SIGNALS[name] },
        { signal: this.#control.within(signal) },
      );
      return true;
    } catch (thrown) {
      if (connectCode(thrown) === CONNECT.notFound) return false;
      throw await this.explain(thrown, signal);
    }
  }

  /** Whether a program under that tag runs. */
  async runs(tag: string, signal: AbortSignal): Promise<boolean> {
    try {
      const { processes } = await this.#client.list({}, { signal: this.#control.within(signal) });
      return processes.some((process) => process.tag === tag);
    } catch (thrown) {
      throw await this.explain(thrown, signal);
    }
  }

  /**
   * What a call threw, as our error. Where the agent cannot say, the control plane is asked whether the sandbox is still there: only its
   * word makes one `sandbox_not_found`.
   *
   * @param user That the call was made as, whose name the agent refuses in the same way as a token.
   */
  async explain(thrown: unknown, signal: AbortSignal, user?: string): Promise<SandboxerError> {
    if (signal.aborted) return whyAborted(signal).with({ phase: this.#phase });
    const failure = connectFailure(thrown, { phase: this.#phase });
    if (connectCode(thrown) === CONNECT.unauthenticated && user !== undefined && (await this.#isLetIn(signal)))
      return new SandboxerError("invalid_request", `user: E2B's agent knows no user "${user}" in the sandbox`, {
        phase: this.#phase,
        issues: [{ path: "user", message: "there is no such user in the sandbox" }],
        cause: thrown,
      });
    if (failure.code !== "backend_unavailable" && failure.code !== "wrong_state" && failure.code !== "backend_auth") return failure;
    try {
      const info = await this.#control.info(this.#ref.native, signal, this.#phase);
      return info === "absent" ? gone(this.#ref, this.#phase) : failure;
    } catch (cause) {
      return SandboxerError.from(cause, { phase: this.#phase });
    }
  }

  async #isLetIn(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#client.list({}, { signal: this.#control.within(signal) });
      return true;
    } catch (thrown) {
      if (connectCode(thrown) === undefined) throw await this.explain(thrown, signal);
      return false;
    }
  }
}

function translated({ event: whole }: ProcessEvent): AgentEvent {
  const event = whole?.event;
  if (event?.case === "end") return { type: "end" };
  if (event?.case !== "data") return { type: "alive" };
  const { case: kind, value: data } = event.value.output;
  return { type: kind === "stdout" ? "stdout" : "stderr", data };
}
