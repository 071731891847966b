import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { boundaryPids } from "../test/support/boundary-process.ts";
import { HttpClient } from "./http.ts";

export const PROGRAM = join(import.meta.dirname, "..", "bin", "sand-boxer");

/** Longer than any measurement: a sweep in the middle of one would slow both sides. */
const SWEEP_INTERVAL = "10m";

const START_MS = 60_000;
const STOP_MS = 30_000;

export interface ServerOptions {
  /** Prepared disks that it keeps. */
  readonly pool?: number;
  /** Runtimes that may be chosen; all that are installed unless given. */
  readonly runtimes?: readonly string[];
  /** Backends instead of the local one. */
  readonly backends?: readonly object[];
  /** More of its configuration. */
  readonly config?: object;
  /** More of Node's own flags, such as `--cpu-prof`. */
  readonly nodeOptions?: string;
}

/** What the health check answers. */
interface Health {
  readonly status: string;
  readonly checks: Readonly<Record<string, { ok: boolean; detail: string | null }>>;
}

/** `sand-boxer serve` as a process of its own, over a data directory of its own that goes away with it. */
export class Server {
  readonly data: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #client: HttpClient | undefined;
  #key: string | undefined;
  #url = "";

  constructor(options: ServerOptions = {}) {
    this.#options = options;
    this.data = mkdtempSync(join(tmpdir(), "sand-boxer-bench-"));
    // The sandboxes' mounts lead through here, under ids that are not ours.
    chmodSync(this.data, 0o711);
    const { pool, runtimes, config } = options;
    const backends = options.backends ?? [
      {
        name: "local",
        provider: "local",
        options: { ...(pool === undefined ? {} : { pool }), ...(runtimes === undefined ? {} : { runtimes }) },
      },
    ];
    writeFileSync(join(this.data, "sand-boxer.yaml"), JSON.stringify({ ...config, backends, sweep_interval: SWEEP_INTERVAL }));
  }

  /** Starts it and resolves when it has taken stock of what lives: the milliseconds from its spawn until its health said so. */
  async start(): Promise<number> {
    const began = performance.now();
    const nodeOptions = this.#options.nodeOptions ?? "";
    // To a file, as a service's log goes; a pipe to here would make each call wake this process twice.
    const log = openSync(this.#logFile, "w", 0o600);
    const child = spawn(PROGRAM, ["serve", "--port", "0", "--json"], {
      stdio: ["ignore", "pipe", log],
      env: { ...process.env, SANDBOXER_DATA: this.data, ...(nodeOptions === "" ? {} : { NODE_OPTIONS: nodeOptions }) },
    });
    closeSync(log);
    this.#child = child;
    this.#url = await addressOf(child, () => this.#log);
    this.#client?.close();
    this.#key ??= await this.#makeKey();
    this.#client = new HttpClient({ url: this.#url, key: this.#key });
    await this.#settled(began + START_MS);
    return performance.now() - began;
  }

  async #settled(until: number): Promise<void> {
    for (;;) {
      const { checks } = await this.client.json<Health>("GET", "/health");
      if (checks["sweeper"]?.ok === true && checks["sweeper"].detail === null) return;
      if (performance.now() > until) throw new Error(`the server did not take stock in ${START_MS} ms:\n${this.#log}`);
      await pause(5);
    }
  }

  async #makeKey(): Promise<string> {
    const operator = new HttpClient({ socket: join(this.data, "server.sock") });
    const { secret } = await operator.json<{ secret: string }>("POST", "/v1/keys", { name: "bench", scopes: ["read", "write"] });
    operator.close();
    return secret;
  }

  get #logFile(): string {
    return join(this.data, "server.log");
  }

  get #log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, "utf8") : "";
  }

  get client(): HttpClient {
    if (this.#client === undefined) throw new Error("the server is not started");
    return this.#client;
  }

  get address(): { url: string; key: string } {
    return { url: this.#url, key: this.#key ?? "" };
  }

  /** How many sandboxes the start took over, as its log says. */
  get adopted(): number | undefined {
    const line = this.#log.split("\n").find((candidate) => candidate.includes('"swept"'));
    return line === undefined ? undefined : (JSON.parse(line) as { adopted: number }).adopted;
  }

  /** Directory of what the local provider keeps. */
  get backend(): string {
    return join(this.data, "backends", "local");
  }

  /** Prepared disks that are ready now, of the quota that has the fewest. */
  get readyDisks(): number {
    const ready = join(this.backend, "slots", "ready");
    if (!existsSync(ready)) return 0;
    return Math.min(...readdirSync(ready).map((quota) => readdirSync(join(ready, quota)).length));
  }

  /**
   * Has the disks of ended sandboxes thrown away and new ones prepared, so that neither side is measured beside that work.
   * Throws where `disks` are not ready then.
   */
  async quiet(disks = 0): Promise<void> {
    const operator = new HttpClient({ socket: join(this.data, "server.sock") });
    await operator.json("POST", "/v1/sweep");
    operator.close();
    if (this.readyDisks < disks) throw new Error(`${this.readyDisks} of ${disks} disks are prepared`);
  }

  /** Of the process that serves; throws where none runs. */
  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("the server is not started");
    return this.#child.pid;
  }

  /** Resident memory in MiB. */
  get residentMiB(): number {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  }

  /** Ends the process as a power cut would; sandboxes live on. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends the process in order; sandboxes live on. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#client?.close();
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(late);
  }

  /** Destroys what is left of its sandboxes, ends it, unmounts its disks and removes the data directory. */
  async dispose(): Promise<void> {
    try {
      if (this.#child?.exitCode === null) {
        for (;;) {
          const { data } = await this.client.json<{ data: { id: string }[] }>(
            "GET",
            "/v1/sandboxes?limit=100&state=provisioning,ready,stopping",
          );
          if (data.length === 0) break;
          await Promise.all(data.map(({ id }) => this.client.json("DELETE", `/v1/sandboxes/${id}`)));
        }
      }
    } finally {
      await this.stop();
      await endBoundary(this.data);
      unmountBelow(this.data);
      rmSync(this.data, { recursive: true, force: true });
    }
  }
}

/** The boundary outlives its server, as sandboxes do; with the directory it has to go. */
async function endBoundary(data: string): Promise<void> {
  for (const pid of boundaryPids(data)) process.kill(pid, "SIGTERM");
  for (const until = performance.now() + STOP_MS; boundaryPids(data).length > 0; await pause(10)) {
    if (performance.now() > until) throw new Error(`the boundary of ${data} did not end`);
  }
}

function unmountBelow(directory: string): void {
  const points = readFileSync("/proc/self/mountinfo", "utf8").split("\n").map((line) => line.split(" ")[4] ?? ""); // prettier-ignore
  const below = points.filter((point) => point.startsWith(`${directory}/`));
  for (let at = 0; at < below.length; at += 100) execFileSync("umount", ["-n", ...below.slice(at, at + 100)]);
}

/** The address in the first line that it prints. */
function addressOf(child: ChildProcess, log: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const late = setTimeout(() => reject(new Error(`the server printed no address in ${START_MS} ms:\n${log()}`)), START_MS);
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      if (!text.includes("\n")) return;
      clearTimeout(late);
      resolve((JSON.parse(text) as { url: string }).url);
    });
    child.once("exit", (code) => {
      clearTimeout(late);
      reject(new Error(`the server ended with ${code ?? "a signal"}:\n${log()}`));
    });
  });
}
