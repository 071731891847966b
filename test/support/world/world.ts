import { type ChildProcess, execFileSync, fork, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeAuthority, makeCertificate } from "./certificates.ts";
import type { FromWorld, Seen, WorldOptions } from "./protocol.ts";

/** Addresses of the world. They look public and lead nowhere but into the namespace, for as long as it stands. */
export const WORLD = {
  host: "11.22.33.1",
  allowed: "11.22.33.10",
  denied: "11.22.33.20",
  dns: "11.22.33.53",
  private: "10.231.7.7",
  metadata: "169.254.169.254",
} as const;

const ZONE: WorldOptions["zone"] = {
  "allowed.test": { answers: [[WORLD.allowed]], ttl: 60 },
  "denied.test": { answers: [[WORLD.denied]], ttl: 60 },
  "a.wild.test": { answers: [[WORLD.allowed]], ttl: 60 },
  "private.test": { answers: [[WORLD.private]], ttl: 60 },
  "metadata.test": { answers: [[WORLD.metadata]], ttl: 60 },
  "mixed.test": { answers: [[WORLD.allowed, WORLD.private]], ttl: 60 },
  "loopback.test": { answers: [["127.0.0.1"]], ttl: 60 },
  "badcert.test": { answers: [[WORLD.allowed]], ttl: 60 },
  "git.test": { answers: [[WORLD.allowed]], ttl: 60 },
};

/** A network namespace with web servers, a name server and a log of everything that reaches it. */
export class World implements AsyncDisposable {
  readonly directory: string;
  readonly namespace: string;
  /** PEM file of the authority that its servers' certificates are signed by. */
  readonly caFile: string;
  readonly #child: ChildProcess;
  readonly #seen: Seen[] = [];
  #settles = 0;
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();

  private constructor(directory: string, namespace: string, caFile: string, child: ChildProcess) {
    this.directory = directory;
    this.namespace = namespace;
    this.caFile = caFile;
    this.#child = child;
    child.on("message", (message: FromWorld) => {
      if ("seen" in message) this.#seen.push(message.seen);
      else if ("done" in message) this.#waiting.get(message.done)?.resolve();
      else this.#waiting.get("ready")?.resolve();
    });
    child.once("exit", (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the world ended with ${code ?? "a signal"}`));
    });
  }

  /** One at a time on a host, since its addresses are fixed: waits until the one of another test file is gone. */
  static async open(): Promise<World> {
    const namespace = await claimNamespace();
    const directory = mkdtempSync(join(tmpdir(), "sbx-world-"));
    const authority = makeAuthority(directory, "world-ca");
    const stranger = makeAuthority(directory, "stranger-ca");
    const certificate = (name: string, by = authority) => makeCertificate(directory, name.replace("*", "any"), [name], by);
    const certificates = {
      ...Object.fromEntries(
        ["allowed.test", "denied.test", "*.wild.test", "private.test", "mixed.test", "git.test"].map((name) => [name, certificate(name)]),
      ),
      "badcert.test": certificate("badcert.test", stranger),
    };
    plug(namespace);
    const others = [WORLD.private, WORLD.metadata];
    const options: WorldOptions = { addresses: { ...WORLD, others }, certificates, zone: ZONE };
    const child = fork(join(import.meta.dirname, "server.ts"), [JSON.stringify(options)], {
      execPath: "/usr/sbin/ip",
      execArgv: ["netns", "exec", namespace, process.execPath],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const world = new World(directory, namespace, authority.certificate, child);
    await world.#until("ready");
    return world;
  }

  async #until(word: string): Promise<void> {
    const arrives = Promise.withResolvers<void>();
    this.#waiting.set(word, arrives);
    await arrives.promise;
    this.#waiting.delete(word);
  }

  /** Everything that has arrived since it was last told to forget. */
  async seen(): Promise<readonly Seen[]> {
    const word = `settle ${this.#settles++}`;
    const done = this.#until(word);
    this.#child.send({ settle: word });
    await done;
    return [...this.#seen];
  }

  forget(): void {
    this.#seen.length = 0;
  }

  /** Changes what a name answers with, from its next question on. */
  async set(name: string, answers: string[][], ttl = 60): Promise<void> {
    const done = this.#until(name);
    this.#child.send({ set: name, answers, ttl });
    await done;
  }

  /** A further program in the namespace, such as a git server. */
  run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn("ip", ["netns", "exec", this.namespace, command, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    if (this.#child.exitCode === null) {
      this.#child.kill("SIGKILL");
      await ended;
    }
    execFileSync("ip", ["netns", "del", this.namespace]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const NAMESPACE = "sbx-world";
const OWNER_FILE = join(tmpdir(), "sbx-world.owner");
const WAIT_MS = 15 * 60_000;

/** The name of a namespace can be had once: it is the lock. Who died with it is followed by the next one. */
async function claimNamespace(): Promise<string> {
  for (const until = Date.now() + WAIT_MS; Date.now() < until; await pause(200)) {
    if (spawnSync("ip", ["netns", "add", NAMESPACE], { stdio: "ignore" }).status === 0) {
      writeFileSync(OWNER_FILE, String(process.pid));
      return NAMESPACE;
    }
    const owner = existsSync(OWNER_FILE) ? readFileSync(OWNER_FILE, "utf8") : "";
    if (owner !== "" && !existsSync(`/proc/${owner}`)) spawnSync("ip", ["netns", "del", NAMESPACE], { stdio: "ignore" });
  }
  throw new Error(`another test has had the world for ${WAIT_MS} ms`);
}

/** The host's end of the cable has an address; private and metadata addresses are routed through it, so that a packet to them would arrive. */
function plug(namespace: string): void {
  const [ours, theirs] = [`sbxw${process.pid % 100_000}`, "world"];
  const ip = (...args: string[]) => execFileSync("ip", args);
  ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", namespace);
  ip("addr", "add", `${WORLD.host}/24`, "dev", ours);
  ip("link", "set", ours, "up");
  const inside = (...args: string[]) => ip("-n", namespace, ...args);
  inside("link", "set", "lo", "up");
  for (const address of [WORLD.allowed, WORLD.denied, WORLD.dns]) inside("addr", "add", `${address}/24`, "dev", theirs);
  for (const address of [WORLD.private, WORLD.metadata]) inside("addr", "add", `${address}/32`, "dev", theirs);
  inside("link", "set", theirs, "up");
  for (const address of [WORLD.private, WORLD.metadata]) ip("route", "add", `${address}/32`, "via", WORLD.allowed, "dev", ours);
}
