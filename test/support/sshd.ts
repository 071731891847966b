import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Why no sshd can be started here; undefined where one can. */
export function withoutSshd(): string | undefined {
  if (process.getuid?.() !== 0) return "an sshd of the tests' own needs root";
  return spawnSync("sh", ["-c", "command -v /usr/sbin/sshd"]).status === 0 ? undefined : "openssh-server is not installed";
}

/** A real sshd of the tests' own on loopback, with a host key, a key that may log in, and authorities for users and hosts. */
export interface Sshd extends AsyncDisposable {
  readonly directory: string;
  readonly port: number;
  /** Public keys, as known_hosts and certificates have them. */
  readonly hostKey: string;
  readonly otherHostKey: string;
  readonly hostAuthority: string;
  readonly userKeyFile: string;
  readonly strangerKeyFile: string;
  /** Signs a public key for root; seconds may be negative. */
  certificate(publicKey: string, seconds: number): string;
  /** Processes of connections, one each. */
  connections(): number[];
  /** Ends the daemon and every connection, as a reboot does, and starts it again on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export async function openSshd(more: readonly string[] = []): Promise<Sshd> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-sshd-"));
  const at = (name: string) => join(directory, name);
  const key = (name: string) => {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", at(name)]);
    return readFileSync(at(`${name}.pub`), "utf8").trim();
  };
  const [host, other, userAuthority, hostAuthority, user] = ["host", "other", "user-ca", "host-ca", "user"].map(key) as [
    string,
    string,
    string,
    string,
    string,
  ];
  key("stranger");
  execFileSync("ssh-keygen", ["-q", "-s", at("host-ca"), "-h", "-I", "host", "-n", "127.0.0.1,box1", at("host.pub")]);
  writeFileSync(at("authorized_keys"), `${user}\n`, { mode: 0o600 });
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const port = await freePort();
  writeFileSync(
    at("sshd_config"),
    [
      `Port ${port}`, "ListenAddress 127.0.0.1", `HostKey ${at("host")}`, `HostCertificate ${at("host-cert.pub")}`, `AuthorizedKeysFile ${at("authorized_keys")}`,
      `TrustedUserCAKeys ${at("user-ca.pub")}`, "PermitRootLogin prohibit-password", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no",
      "StrictModes no", "Subsystem sftp internal-sftp", "LogLevel VERBOSE", `PidFile ${at("pid")}`, "MaxStartups 100", ...more,
    ].join("\n"),
  ); // prettier-ignore
  void userAuthority;
  let daemon: ReturnType<typeof spawn>;
  const start = async () => {
    daemon = spawn("/usr/sbin/sshd", ["-D", "-f", at("sshd_config"), "-E", at("log")], { stdio: "ignore" });
    for (let look = 0; look < 100; look++) {
      const socket = connect({ host: "127.0.0.1", port });
      const open = await new Promise<boolean>((resolve) => socket.once("connect", () => resolve(true)).once("error", () => resolve(false)));
      socket.destroy();
      if (open) return;
      await sleep(50);
    }
    throw new Error(`sshd does not start: ${readFileSync(at("log"), "utf8")}`);
  };
  const connections = () =>
    execFileSync("ps", ["-e", "-o", "pid=,ppid=,comm="], { encoding: "utf8" })
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, parent, command]) => Number(parent) === daemon.pid && command === "sshd")
      .map(([pid]) => Number(pid));
  const stop = async () => {
    const ended = once(daemon, "exit");
    for (const pid of connections()) process.kill(pid, "SIGKILL");
    daemon.kill("SIGKILL");
    await ended;
  };
  await start();
  return {
    directory,
    port,
    hostKey: host,
    otherHostKey: other,
    hostAuthority,
    userKeyFile: at("user"),
    strangerKeyFile: at("stranger"),
    certificate(publicKey, seconds) {
      const scratch = mkdtempSync(at("signing-"));
      writeFileSync(join(scratch, "key.pub"), publicKey);
      const minutes = seconds < 0 ? `-1h:${seconds}s` : `-5m:+${seconds}s`;
      execFileSync("ssh-keygen", ["-q", "-s", at("user-ca"), "-I", "sand-boxer", "-n", "root", "-V", minutes, join(scratch, "key.pub")]);
      return readFileSync(join(scratch, "key-cert.pub"), "utf8").trim();
    },
    connections,
    start,
    stop,
    async restart() {
      await stop();
      await start();
    },
    async [Symbol.asyncDispose]() {
      if (daemon.exitCode === null && daemon.signalCode === null) await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
