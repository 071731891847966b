import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect as tcpConnect } from "node:net";
import { join } from "node:path";
import { SandboxerError } from "../../../contract/index.ts";
import { Issuer } from "./identity.ts";
import type { HostKey, SshOptions } from "./options.ts";
import { type Reachable, reachOf } from "./reach.ts";

/** For ssh to notice that the other side is gone: three unanswered questions, 5 s apart. */
const ALIVE = ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"];

/** A host by the system's ssh program: its configuration, certificates, jumps and known hosts are those that operators know. */
export class SshHost {
  readonly backend: string;
  readonly #options: SshOptions;
  readonly #directory: string;
  readonly #issuer: Issuer;

  /** The directory becomes private, and keeps keys, certificates, pinned host keys and sockets. */
  constructor(options: SshOptions, directory: string, backend: string) {
    this.backend = backend;
    this.#options = options;
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#issuer = new Issuer(options.identity, directory);
  }

  /** A name for errors and notes. */
  get label(): string {
    const { reach } = this.#options;
    return reach.form === "direct" ? reach.address : reach.form === "ssh-config" ? reach.host : reach.name;
  }

  /** Starts ssh with those words of its own and, behind the host's name, that remote command. The caller owns the process. */
  async spawn(
    words: readonly string[],
    remote: readonly string[],
    signal: AbortSignal,
  ): Promise<ChildProcess & { readonly reached: Reachable }> {
    const reached = await reachOf(this.#options.reach, signal);
    const user = this.#options.user ?? reached.user ?? (this.#options.reach.form === "ssh-config" ? undefined : "root");
    const { options } = await this.#issuer.credentials({ principal: user ?? "root", host: this.label, backend: this.backend }, signal);
    const argv = [
      ...reached.options,
      // Where a processor has AES, this one costs a third of ssh's own first choice; what a configuration says holds.
      ...(this.#options.reach.form === "ssh-config" ? [] : ["-o", "Ciphers=^aes128-gcm@openssh.com"]),
      "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no", "-o", "ClearAllForwardings=no", "-o", "ForwardAgent=no",
      "-o", "ForwardX11=no", "-o", "PermitLocalCommand=no", "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "EscapeChar=none",
      "-o", `ConnectTimeout=${this.#options.connect_timeout_seconds ?? 10}`, ...ALIVE, ...this.#hostKey(reached), ...options,
      ...(reached.port === undefined ? [] : ["-p", String(reached.port)]), ...(user === undefined ? [] : ["-l", user]),
      "-T", ...words, "--", reached.address, ...remote,
    ]; // prettier-ignore
    return Object.assign(spawn("ssh", argv, { stdio: ["pipe", "pipe", "pipe"] }), { reached });
  }

  /**
   * Why ssh ended with 255, whose words are not made to be told apart: where the host takes no connection it is `backend_unavailable`; where
   * it does, it was the login, or the host is not who we think: `backend_auth`. A proxy hides which.
   */
  async explain(reached: Reachable, words: string): Promise<SandboxerError> {
    const said = words.trim().split("\n").slice(-3).join("; ");
    const direct = this.#options.reach.form !== "ssh-config" && reached.options.length === 0;
    const listens = direct && (await takesConnections(reached.address, reached.port ?? 22));
    return new SandboxerError(
      listens ? "backend_auth" : "backend_unavailable",
      `ssh to ${this.label}: ${said || "it ended without a word"}`,
      {
        phase: "connect",
        backend: this.backend,
        ...(listens ? { hint: "Is the host's key the one that is known, and may this key or certificate log in there?" } : {}),
      },
    );
  }

  /** A path in the private directory. */
  file(name: string): string {
    return join(this.#directory, name);
  }

  #hostKey(reached: Reachable): string[] {
    const hostKey: HostKey = this.#options.host_key ?? { form: "known-hosts" };
    // Under the host's own name, wherever it is reached: else each address would need a key of its own.
    const alias = reached.name === reached.address ? [] : ["-o", `HostKeyAlias=${reached.name}`];
    if (hostKey.form === "known-hosts")
      return [...alias, ...(hostKey.file === undefined ? [] : ["-o", `UserKnownHostsFile=${hostKey.file}`])];
    const file = this.file("known_hosts");
    const marker = hostKey.form === "ca" ? "@cert-authority " : "";
    writeFileSync(file, hostKey.keys.map((key) => `${marker}* ${key}\n`).join(""), { mode: 0o600 });
    return [...alias, "-o", `UserKnownHostsFile=${file}`, "-o", "GlobalKnownHostsFile=/dev/null"];
  }
}

function takesConnections(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tcpConnect({ host, port, timeout: 3000 });
    const tell = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => tell(true)).once("error", () => tell(false)).once("timeout", () => tell(false)); // prettier-ignore
  });
}
