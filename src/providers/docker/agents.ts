import type { Duplex } from "node:stream";
import { newId, SandboxerError, type Op, type Ref } from "../../contract/index.ts";
import { throwIfAborted } from "../shared/abort.ts";
import type { Agent, AgentEvent, Agents, Program } from "../shared/companion/agent.ts";
import { Companion } from "../shared/companion/companion.ts";
import { SANDBOX_USER, WORKDIR } from "./container.ts";
import { askAgain, engineFailure } from "./failure.ts";
import { userOf } from "./labels.ts";
import { demultiplexed } from "./multiplexed.ts";
import type { Container, Docker } from "./sdk.ts";

/** Sandboxes whose user is kept; one more is one request more. */
const REMEMBERED = 2000;

/** The engine's exec, in each of its containers. */
export class DockerAgents implements Agents {
  readonly docker: Docker;
  readonly backend: string;
  readonly #users = new Map<string, string>();
  /** Open connections of the programs that are listened to, by container and tag. */
  readonly #streams = new Map<string, Duplex>();
  /** Users that were asked for by name, as numbers, by container. */
  readonly #looked = new Map<string, string>();

  constructor(docker: Docker, backend: string) {
    this.docker = docker;
    this.backend = backend;
  }

  remember(native: string, user: string): void {
    this.#users.set(native, user);
    const oldest = this.#users.keys().next();
    if (this.#users.size > REMEMBERED && oldest.done === false) this.#users.delete(oldest.value);
  }

  forget(native: string): void {
    this.#users.delete(native);
  }

  async of(ref: Ref, op: Op, phase: string): Promise<Agent> {
    throwIfAborted(op.signal);
    const container = this.docker.getContainer(ref.native);
    let user = this.#users.get(ref.native);
    if (user === undefined) {
      try {
        const info = await askAgain(() => container.inspect({ abortSignal: op.signal }), op.signal);
        user = userOf(info.Config.Labels ?? {}) ?? SANDBOX_USER;
        this.remember(ref.native, user);
      } catch (thrown) {
        throw engineFailure(thrown, { phase, backend: this.backend }, op.signal);
      }
    }
    return new DockerAgent(this, container, { streams: this.#streams, looked: this.#looked }, user, ref, phase);
  }
}

class DockerAgent implements Agent {
  readonly user: string;
  readonly oom = "cgroup";
  readonly keepsInput = false;
  readonly workdir = WORKDIR;
  readonly #agents: DockerAgents;
  readonly #container: Container;
  readonly #streams: Map<string, Duplex>;
  readonly #looked: Map<string, string>;
  readonly #ref: Ref;
  readonly #phase: string;

  constructor(
    agents: DockerAgents,
    container: Container,
    { streams, looked }: { streams: Map<string, Duplex>; looked: Map<string, string> },
    user: string,
    ref: Ref,
    phase: string,
  ) {
    this.#agents = agents;
    this.#container = container;
    this.#streams = streams;
    this.#looked = looked;
    this.user = user;
    this.#ref = ref;
    this.#phase = phase;
  }

  /** A user that is not the sandbox's own is looked up inside, once: the engine tells of one that is not there in no way to rely on. */
  async userFor(asked: string | undefined, op: Op): Promise<string> {
    if (asked === undefined || asked === "sandbox" || asked === this.user) return this.user;
    const key = `${this.#container.id}/${asked}`;
    const found = this.#looked.get(key) ?? (await this.#look(asked, op));
    if (this.#looked.size > REMEMBERED) this.#looked.clear();
    this.#looked.set(key, found);
    return found;
  }

  async #look(asked: string, op: Op): Promise<string> {
    const [name = "", group] = asked.split(":");
    const source =
      "my ($n, $g) = @ARGV; my @u = $n =~ /^\\d+$/ ? ($n, (getpwuid($n))[3] // $n) : (getpwnam($n))[2, 3]; print defined $u[0] ? join(':', $u[0], $g eq '' ? $u[1] : $g) : ''";
    const lookup = new Companion(
      this,
      { argv: ["/usr/bin/perl", "-e", source, name, group ?? ""], user: this.user, tag: newId("exec") },
      op,
    );
    let ids: string;
    try {
      ids = await lookup.text();
    } finally {
      lookup.leave();
    }
    if (ids === "") throw this.#noUser(asked, "there is no such user in the sandbox");
    if (ids.split(":").some((id) => Number(id) === 0)) throw this.#noUser(asked, "root is not given to commands in a sandbox");
    return ids;
  }

  #noUser(asked: string, message: string): SandboxerError {
    return new SandboxerError("invalid_request", `user: "${asked}": ${message}`, {
      phase: this.#phase,
      issues: [{ path: "user", message }],
    });
  }

  async *start({ argv, env, user, tag }: Program, signal: AbortSignal): AsyncGenerator<AgentEvent> {
    const wanted = {
      Cmd: argv,
      User: user,
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
      abortSignal: signal,
    };
    // Names a command and starts nothing yet: one that nobody starts goes with the container.
    const exec = await askAgain(() => this.#container.exec(wanted), signal);
    const stream = await exec.start({ hijack: true, stdin: true, Tty: false, abortSignal: signal });
    const key = this.#key(tag);
    this.#streams.set(key, stream);
    // Not in a `finally`: whoever stops listening may never come back here.
    stream.once("close", () => {
      if (this.#streams.get(key) === stream) this.#streams.delete(key);
    });
    stream.on("error", () => stream.destroy());
    if (signal.aborted) stream.destroy();
    signal.addEventListener("abort", () => stream.destroy(), { once: true });
    yield* demultiplexed(stream);
  }

  #key(tag: string): string {
    return `${this.#container.id}/${tag}`;
  }

  async send(tag: string, bytes: Uint8Array): Promise<void> {
    const stream = this.#streams.get(this.#key(tag));
    if (stream === undefined || !stream.writable)
      throw new SandboxerError("wrong_state", `command ${tag} has ended`, { phase: this.#phase });
    await new Promise<void>((resolve, reject) => {
      stream.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** The companion ends its tree when its input ends. */
  async signal(tag: string): Promise<boolean> {
    const stream = this.#streams.get(this.#key(tag));
    if (stream === undefined) return false;
    stream.end();
    return true;
  }

  async runs(tag: string): Promise<boolean> {
    return this.#streams.has(this.#key(tag));
  }

  async explain(thrown: unknown, signal: AbortSignal): Promise<SandboxerError> {
    const where = { phase: this.#phase, backend: this.#agents.backend };
    const failure = engineFailure(thrown, where, signal);
    if (signal.aborted || failure.code === "sandbox_not_found") return failure;
    try {
      const { State } = await this.#container.inspect({ abortSignal: signal });
      if (State.Paused) return new SandboxerError("wrong_state", `sandbox ${this.#ref.id} is paused at the engine`, where);
      return State.Running ? failure : new SandboxerError("sandbox_not_found", `sandbox ${this.#ref.id} has ended`, where);
    } catch (cause) {
      return engineFailure(cause, where, signal);
    }
  }
}
