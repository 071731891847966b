import { execFileSync, spawn } from "node:child_process";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect, createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { Boundary, EgressPolicy, EgressRule, NetworkVerdict } from "../../../src/contract/network.ts";
import { type ConnectOptions, connectBoundary } from "../../../src/guard/egress/index.ts";
import { leafIssuer, makeAuthority } from "../../../src/guard/egress/inspect/authority.ts";
import { type Netns, openNetns } from "../../../src/netns/index.ts";

export const root = process.getuid?.() === 0;
let counter = 0;

/** A namespace as the local backend makes them: only a loopback, to which everything goes, and TPROXY. */
export interface Inside {
  readonly path: string;
  readonly name: string;
  remove(): void;
}

export function makeInside({ tproxy = true } = {}): Inside {
  const name = `sbx-egress-${process.pid}-${counter++}`;
  const ip = (...args: string[]): void => void execFileSync("ip", args);
  ip("netns", "add", name);
  ip("-n", name, "link", "set", "lo", "up");
  if (tproxy) {
    ip("-n", name, "route", "add", "local", "0.0.0.0/0", "dev", "lo", "src", "127.0.0.1");
    const rules = `table ip sandboxer { chain inbound { type filter hook prerouting priority mangle; iifname lo ip daddr != 127.0.0.0/8 meta l4proto tcp tproxy to 127.0.0.1:1 accept; ip daddr != 127.0.0.0/8 drop; }; }`;
    execFileSync("ip", ["netns", "exec", name, "nft", rules]);
  }
  return { path: `/run/netns/${name}`, name, remove: () => ip("netns", "del", name) };
}

/** Runs a program inside; answers what it wrote and how it ended. Bounded. */
export async function runInside({ name }: Inside, file: string, ...args: string[]): Promise<{ code: number | null; text: string }> {
  const child = spawn("timeout", ["20", "ip", "netns", "exec", name, file, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, text };
}

/** The world outside: a resolver, and servers at loopback addresses of this test's own. All that reaches them is written down. */
export class World {
  readonly authority = makeAuthority();
  readonly netns: Netns = openNetns();
  readonly directory = mkdtempSync(join(tmpdir(), "sbx-boundary-"));
  readonly records = new Map<string, readonly string[]>();
  readonly queries: string[] = [];
  readonly reached: string[] = [];
  readonly #open: (Server | UdpSocket)[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #boundaries: Boundary[] = [];
  resolver = "";

  /** An address of the whole 127.0.0.0/8 that no other test's process has. */
  address(last: number): string {
    return `127.${64 + ((process.pid >> 8) % 128)}.${process.pid & 255}.${last}`;
  }

  async start(): Promise<void> {
    const dns = createSocket("udp4");
    dns.on("message", (query, from) => dns.send(this.#answer(query), from.port, from.address));
    dns.bind(0, "127.0.0.1");
    await once(dns, "listening");
    this.#open.push(dns);
    this.resolver = `127.0.0.1:${dns.address().port}`;
  }

  /** Written by hand: the records may be what no decent server would say. */
  #answer(query: Buffer): Buffer {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1);
    const name = labels.join(".").toLowerCase();
    this.queries.push(name);
    const addresses = type === 1 ? (this.records.get(name) ?? []) : [];
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(this.records.has(name) ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(addresses.length, 6);
    header.fill(0, 8);
    const answers = addresses.map((address) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]));
    return Buffer.concat([header, query.subarray(12, at + 5), ...answers]);
  }

  async tcp(host: string, port: number, onSocket: (socket: Socket) => void): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.reached.push(`tcp ${host}:${port}`);
      this.#keep(socket);
      onSocket(socket);
    });
    await this.#listen(server, host, port);
  }

  async tls(name: string, host: string, port: number, onSocket: (socket: TLSSocket) => void): Promise<void> {
    const issuer = leafIssuer(this.authority);
    const server = createTlsServer({ key: issuer.keyPem, cert: issuer.issue(name) }, (socket) => {
      this.reached.push(`tls ${name} as ${String(socket.servername)}`);
      onSocket(socket);
    });
    server.on("connection", (socket: Socket) => {
      this.reached.push(`tcp ${host}:${port}`);
      this.#keep(socket);
    });
    server.on("tlsClientError", () => {});
    await this.#listen(server, host, port);
  }

  async boundary(options: ConnectOptions = {}): Promise<Boundary> {
    const boundary = await connectBoundary(this.directory, { resolvers: [this.resolver], ...options });
    this.#boundaries.push(boundary);
    return boundary;
  }

  /** Asks the sandbox's DNS from inside for the address that stands for a name. */
  async synthetic(inside: Inside, name: string): Promise<string> {
    const socket = await this.netns.bind(inside.path, { host: "127.0.0.1", port: 0 });
    const labels = name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
    socket.send(
      Buffer.concat([Buffer.from("abcd01000001000000000000", "hex"), ...labels, Buffer.from("0000010001", "hex")]),
      53,
      "127.0.0.1",
    );
    const [answer] = (await once(socket, "message")) as [Buffer];
    socket.close();
    return answer.subarray(-4).join(".");
  }

  /** TLS over a socket from inside. */
  secure(socket: Socket, servername: string, options: { ca?: string } = {}): TLSSocket {
    return tlsConnect({ socket, servername, ca: options.ca ?? this.authority.certPem });
  }

  async verdicts(boundary: Boundary, sandbox: string): Promise<NetworkVerdict[]> {
    const all: NetworkVerdict[] = [];
    let cursor: string | null = null;
    for (;;) {
      const page: Awaited<ReturnType<Boundary["verdicts"]>> = await boundary.verdicts(cursor, 1000);
      if (page.entries.length === 0) return all;
      all.push(...page.entries.filter((entry) => entry.sandbox_id === sandbox));
      cursor = page.cursor;
    }
  }

  /** The process that holds this world's lock. */
  pid(): number {
    const own = execFileSync("pgrep", ["-f", `boundary.ts ${this.directory}$`], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);
    return own.find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`boundary.ts\0${this.directory}\0`)) ?? 0;
  }

  log(): string {
    return readFileSync(join(this.directory, "boundary", "log"), "utf8");
  }

  async stop(): Promise<void> {
    for (const boundary of this.#boundaries) await boundary.close();
    const pid = this.pid();
    process.kill(pid, "SIGTERM");
    for (const one of this.#open) one.close();
    for (const socket of this.#sockets) socket.destroy();
    this.netns.dispose();
    await until(() => !alive(pid));
    if (process.env["KEEP"] === undefined) rmSync(this.directory, { recursive: true, force: true });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }

  async #listen(server: Server, host: string, port: number): Promise<void> {
    server.listen(port, host);
    await once(server, "listening");
    this.#open.push(server);
  }
}

export function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits for what must come; the test's own time limit is the bound. */
export async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** All that comes until the end, or the code of what broke it. */
export async function readAll(socket: Socket): Promise<string> {
  try {
    return (await socket.toArray()).map(String).join("");
  } catch (thrown) {
    return `broken: ${(thrown as NodeJS.ErrnoException).code}`;
  }
}

export function policyOf(
  rules: readonly Partial<EgressRule>[],
  over: Partial<Omit<EgressPolicy, "limits">> & { limits?: Partial<EgressPolicy["limits"]> } = {},
): EgressPolicy {
  return {
    mode: over.mode ?? "enforce",
    rules: rules.map((one, index) => ({ id: `allow[${index}]`, ports: [443], tls: "passthrough", websocket: false, ...one })),
    limits: { connections: 1024, bytesPerSecond: null, bytes: null, idleMs: 600_000, ...over.limits },
  };
}

/** Asks the sandbox's DNS from inside with c-ares. Answers addresses, or the code of the failure. */
export async function ask(inside: Inside, type: string, ...names: string[]): Promise<unknown[]> {
  const script = `const { Resolver } = require("node:dns").promises; const r = new Resolver({ timeout: 2000, tries: 1 }); r.setServers(["127.0.0.1"]);
    (async () => { const out = []; for (const name of ${JSON.stringify(names)}) out.push(await r.resolve(name, ${JSON.stringify(type)}).catch((e) => e.code)); console.log(JSON.stringify(out)); })()`;
  const { text } = await runInside(inside, process.execPath, "-e", script);
  return JSON.parse(text) as unknown[];
}
