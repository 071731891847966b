import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";

const DEBIAN = "/usr/lib/postgresql";

function programs(): string {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  if (versions[0] === undefined) throw new Error("PostgreSQL is not installed: run sh scripts/setup.sh --test");
  return join(DEBIAN, versions[0], "bin");
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): { words: string[]; uid: number; gid: number } {
  if (process.getuid?.() !== 0) return { words: [], uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const [uid = 0, gid = 0] = ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" })));
  return { words: ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"], uid, gid };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A PostgreSQL of our own, on its own port and in a directory that goes away with it. Its collation is a language's, as many have it. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  readonly #directory: string;
  readonly #bin: string;
  readonly #user: ReturnType<typeof unprivileged>;
  #process: ChildProcess | undefined;

  private constructor(port: number, directory: string, bin: string, user: ReturnType<typeof unprivileged>) {
    this.port = port;
    this.#directory = directory;
    this.#bin = bin;
    this.#user = user;
  }

  static async start(): Promise<PostgresServer> {
    const directory = mkdtempSync(join(tmpdir(), "sbx-postgres-"));
    const user = unprivileged();
    const server = new PostgresServer(await freePort(), directory, programs(), user);
    for (const name of ["data", "socket"]) mkdirSync(join(directory, name), { mode: 0o700 });
    for (const path of [directory, join(directory, "data"), join(directory, "socket")]) chownSync(path, user.uid, user.gid);
    const [program, ...words] = [...user.words, join(server.#bin, "initdb"), "-D", join(directory, "data"), "-U", "postgres"];
    execFileSync(program, [...words, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync"], {
      stdio: ["ignore", "ignore", "inherit"],
      cwd: directory,
    }); // prettier-ignore
    await server.up();
    return server;
  }

  /** Starts it, where it is down, and resolves once it answers. */
  async up(): Promise<void> {
    const settings = [`unix_socket_directories=${join(this.#directory, "socket")}`, "fsync=off", "max_connections=200", "listen_addresses=127.0.0.1", "log_min_messages=fatal"].flatMap((setting) => ["-c", setting]); // prettier-ignore
    const [program = "", ...words] = [...this.#user.words, join(this.#bin, "postgres"), "-D", join(this.#directory, "data"), "-p", String(this.port), ...settings]; // prettier-ignore
    const child = spawn(program, words, { stdio: "ignore", cwd: this.#directory });
    this.#process = child;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended with ${child.exitCode} as it started`);
      if (await this.#answers()) return;
      await sleep(50);
    }
  }

  async #answers(): Promise<boolean> {
    const client = new Client({ connectionString: this.url("postgres"), connectionTimeoutMillis: 1000 });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return true;
    } catch {
      return false;
    }
  }

  /** Ends it as an operator's restart does (`SIGINT`: every connection is broken off), or at once with `SIGQUIT`. */
  async down(signal: "SIGINT" | "SIGQUIT" = "SIGINT"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  }

  url(database: string): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${database}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down("SIGQUIT");
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Runs statements as the server's administrator. */
export async function administer(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
