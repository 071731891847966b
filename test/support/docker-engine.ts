import { execFile, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Why no engine can be started here; undefined where one can. */
export function withoutEngine(): string | undefined {
  if (process.getuid?.() !== 0) return "a Docker engine of the tests' own needs root";
  for (const program of ["dockerd", "mmdebstrap"])
    if (spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0) return `${program} is not installed`;
  return undefined;
}

/** A Docker engine of the tests' own, with its own socket, data and containerd, and one image: Debian with Python, git, busybox and Redis. */
export interface DockerEngine extends AsyncDisposable {
  readonly socket: string;
  readonly directory: string;
  readonly host: string;
  /** The `docker` command line, at this engine. */
  docker(...args: string[]): Promise<string>;
  /** Ends the daemon as a crash does, and starts it again. */
  restart(): Promise<void>;
}

export const IMAGE = "sandboxer-test/debian:12";
const MAKES_WITHIN_MS = 240_000;

const PACKAGES = "python3,git,busybox-static,redis-server,redis-tools";

/** The image's file system, made once a machine from Debian's packages: half a minute. */
async function imageTar(): Promise<string> {
  const directory = join(tmpdir(), "sandboxer-test-images");
  const tar = join(directory, `debian-12-${createHash("sha256").update(PACKAGES).digest("hex").slice(0, 8)}.tar`);
  mkdirSync(directory, { recursive: true });
  for (const lock = join(directory, "lock"), deadline = Date.now() + MAKES_WITHIN_MS; !existsSync(tar);) {
    try {
      mkdirSync(lock);
    } catch {
      // Another test file is making it, or was ended while it did.
      if (Date.now() > deadline) rmSync(lock, { recursive: true, force: true });
      await sleep(500);
      continue;
    }
    try {
      const draft = `${tar}.${process.pid}`;
      const words = ["--variant=minbase", `--include=${PACKAGES}`, "bookworm", draft, "--format=tar"];
      await run("mmdebstrap", words, { timeout: MAKES_WITHIN_MS, maxBuffer: 2 ** 26 });
      renameSync(draft, tar);
    } finally {
      rmSync(lock, { recursive: true, force: true });
    }
  }
  return tar;
}

export async function openDockerEngine(more: readonly string[] = []): Promise<DockerEngine> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-dockerd-"));
  const socket = join(directory, "docker.sock");
  const host = `unix://${socket}`;
  const docker = async (...args: string[]): Promise<string> =>
    (await run("docker", ["-H", host, ...args], { maxBuffer: 2 ** 26, env: { ...process.env, DOCKER_CONFIG: directory } })).stdout.trim();

  const start = async () => {
    const log = openSync(join(directory, "log"), "a");
    const words = [
      "--data-root", join(directory, "data"), "--exec-root", join(directory, "exec"), "--pidfile", join(directory, "pid"), "-H", host,
      "--bridge=none", "--iptables=false", "--ip6tables=false", "--containerd-namespace", "sbx", "--containerd-plugins-namespace", "sbx-plugins", ...more,
    ]; // prettier-ignore
    const child = spawn("dockerd", words, { stdio: ["ignore", log, log] });
    closeSync(log);
    for (let look = 0; ; look++) {
      if (child.exitCode !== null || look > 200) throw new Error(`dockerd does not start; see ${join(directory, "log")}`);
      if (spawnSync("docker", ["-H", host, "version"], { stdio: "ignore" }).status === 0) return child;
      await sleep(100);
    }
  };
  let daemon = await start();
  const stop = async (signal: NodeJS.Signals) => {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, "exit");
    daemon.kill(signal);
    await ended;
  };
  await docker("import", await imageTar(), IMAGE);
  return {
    socket,
    directory,
    host,
    docker,
    async restart() {
      await stop("SIGKILL");
      // What a reboot takes with it: its socket and the numbers of processes that are no more.
      rmSync(join(directory, "pid"), { force: true });
      rmSync(join(directory, "exec", "containerd"), { recursive: true, force: true });
      daemon = await start();
    },
    async [Symbol.asyncDispose]() {
      try {
        const left = await docker("ps", "-aq");
        if (left !== "") await docker("rm", "-f", ...left.split("\n"));
      } finally {
        await stop("SIGTERM");
      }
      // A daemon that was killed has left the programs that stood beside its containers.
      spawnSync("pkill", ["-KILL", "-f", `containerd-shim.*${directory}/`]);
      // What overlay mounts a killed daemon left goes with the directory's own mounts.
      spawnSync("sh", ["-c", `grep -o ' ${directory}[^ ]*' /proc/mounts | sort -r | xargs -r -n1 umount -l`]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
