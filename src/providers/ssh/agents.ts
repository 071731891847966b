import { SandboxerError, type Op, type Ref } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../shared/abort.ts";
import type { Agent, AgentEvent, Agents, Program } from "../shared/companion/agent.ts";
import { companionSource } from "../shared/companion/companion.ts";
import type { Channel } from "./channel.ts";
import type { Host } from "./host.ts";

/** Where commands and relative paths start. */
export const WORKDIR = "/workspace";

/** Exit codes of native/ssh-work.pl where a command could not be begun. */
const GONE = 44;

/** Commands over the one connection, in each of the host's sandboxes. */
export class SshAgents implements Agents {
  readonly #host: Host;
  readonly #limited: boolean;
  /** Programs that are listened to, by sandbox and tag. */
  readonly #channels = new Map<string, Channel>();

  /** `limited`: whether sandboxes there have control groups. */
  constructor(host: Host, limited: boolean) {
    this.#host = host;
    this.#limited = limited;
  }

  /** Asks nothing: whether the sandbox is there is found by what is started in it. */
  async of(ref: Ref, op: Op, phase: string): Promise<Agent> {
    throwIfAborted(op.signal);
    return new SshAgent(this.#host, this.#channels, this.#limited, ref, phase);
  }
}

class SshAgent implements Agent {
  readonly user = undefined;
  readonly oom: "cgroup" | undefined;
  readonly keepsInput = false;
  readonly workdir = WORKDIR;
  readonly #host: Host;
  readonly #channels: Map<string, Channel>;
  readonly #ref: Ref;
  readonly #phase: string;

  constructor(host: Host, channels: Map<string, Channel>, limited: boolean, ref: Ref, phase: string) {
    this.#host = host;
    this.#channels = channels;
    this.oom = limited ? "cgroup" : undefined;
    this.#ref = ref;
    this.#phase = phase;
  }

  /** Each sandbox has the one user, under the name "sandbox". */
  async userFor(asked: string | undefined): Promise<undefined> {
    if (asked === undefined || asked === "sandbox") return undefined;
    throw new SandboxerError("capability_unsupported", `user: a sandbox of this backend has one user, "sandbox"`, {
      phase: this.#phase,
      backend: this.#host.backend,
      issues: [{ path: "user", message: 'only "sandbox"' }],
    });
  }

  async *start({ argv, env, tag }: Program, signal: AbortSignal): AsyncGenerator<AgentEvent> {
    const [, , source, ...rest] = argv;
    // The host has the companion, compiled: it need not be sent again.
    const words = source === companionSource() ? ["companion", ...rest] : ["program", ...argv];
    const [how = "", ...command] = words;
    const text = Object.entries(env).map(([name, value]) => `${name}=${value}`).join("\0"); // prettier-ignore
    const channel = await this.#host.start(["enter", this.#ref.id, String(this.#ref.generation), how, text, ...command], signal);
    const key = this.#key(tag);
    this.#channels.set(key, channel);
    const leave = (): void => {
      channel.leave();
      if (this.#channels.get(key) === channel) this.#channels.delete(key);
    };
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    let said = "";
    for await (const event of channel) {
      if (event.type === "stderr") said = (said + event.data.toString("utf8")).slice(-500);
      if (event.type !== "end") {
        yield event;
        continue;
      }
      this.#channels.delete(key);
      if (event.status !== 0) throw this.#couldNot(event.status, said);
      yield { type: "end" };
    }
  }

  #couldNot(status: number, said: string): SandboxerError {
    const where = { phase: this.#phase, backend: this.#host.backend };
    if (status >> 8 === GONE) return new SandboxerError("sandbox_not_found", `sandbox ${this.#ref.id} is not there or has ended`, where);
    return new SandboxerError(
      "backend_unavailable",
      `a command cannot be begun at ${this.#host.label}: ${said || `status ${status}`}`,
      where,
    );
  }

  #key(tag: string): string {
    return `${this.#ref.id}/${tag}`;
  }

  send(tag: string, bytes: Uint8Array): Promise<void> {
    return this.sendPieces(tag, [bytes]);
  }

  async sendPieces(tag: string, pieces: readonly Uint8Array[]): Promise<void> {
    const channel = this.#channels.get(this.#key(tag));
    if (channel === undefined) throw new SandboxerError("wrong_state", `command ${tag} has ended`, { phase: this.#phase });
    await channel.write(pieces);
  }

  /** The companion ends its tree when its input ends. */
  async signal(tag: string): Promise<boolean> {
    const channel = this.#channels.get(this.#key(tag));
    channel?.end();
    return channel !== undefined;
  }

  async runs(tag: string): Promise<boolean> {
    return this.#channels.get(this.#key(tag))?.isOpen === true;
  }

  async explain(thrown: unknown, signal: AbortSignal): Promise<SandboxerError> {
    const where = { phase: this.#phase, backend: this.#host.backend };
    if (thrown instanceof SandboxerError) return thrown.with(where);
    if (signal.aborted) return whyAborted(signal).with(where);
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new SandboxerError("backend_unavailable", `the connection to ${this.#host.label}: ${message}`, { ...where, cause: thrown });
  }
}
