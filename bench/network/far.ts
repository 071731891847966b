import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeAuthority, makeCertificate } from "../../test/support/world/certificates.ts";
import { ADDRESS, Cables } from "./cables.ts";
import { FAR_NAMES, HTTP_PORT, TLS_PORT } from "./names.ts";

/** MiB of the file that is downloaded. */
export const FILE_MIB = 256;
const START_MS = 10_000;

/** The far end and the ways to it: Debian's nginx and a name server in a namespace, and whatever else was started for the measurement. */
export class FarEnd implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "sand-boxer-far-"));
  readonly caFile: string;
  readonly cables: Cables;
  readonly #children: ChildProcess[] = [];

  private constructor() {
    const authority = makeAuthority(this.directory, "far-ca");
    this.caFile = authority.certificate;
    const { key, certificate } = makeCertificate(this.directory, "far", FAR_NAMES, authority);
    writeFileSync(join(this.directory, "nginx.conf"), nginx(this.directory, key, certificate));
    mkdirSync(join(this.directory, "www"));
    // Sparse: what is measured is the network, so no disk may have a part in it.
    const file = openSync(join(this.directory, "www", "file"), "w");
    ftruncateSync(file, FILE_MIB * 1024 ** 2);
    closeSync(file);
    this.cables = new Cables();
  }

  static async open(): Promise<FarEnd> {
    const end = new FarEnd();
    try {
      end.start(inside(end.cables.far, "nginx", "-e", "stderr", "-c", join(end.directory, "nginx.conf")));
      end.start(inside(end.cables.far, process.execPath, join(import.meta.dirname, "far-process.ts")));
      await answers(ADDRESS.far, TLS_PORT);
      await answers(ADDRESS.far, 53);
      return end;
    } catch (thrown) {
      await end[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Runs until the end. What it prints goes to a file beside the others. */
  start([command = "", ...args]: readonly string[]): ChildProcess {
    const log = openSync(join(this.directory, "log"), "a");
    const child = spawn(command, args, { stdio: ["ignore", log, log], env: withSbin() });
    closeSync(log);
    this.#children.push(child);
    return child;
  }

  /** What its programs printed: for whoever finds that one does not answer. */
  get log(): string {
    return readFileSync(join(this.directory, "log"), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      child.kill("SIGTERM");
      await ended;
    }
    this.cables.dispose();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The command line of a program in a namespace. */
export function inside(namespace: string, ...command: string[]): string[] {
  return ["ip", "netns", "exec", namespace, ...command];
}

export function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
}

/** Waits until something accepts there. */
export async function answers(host: string, port: number): Promise<void> {
  for (const until = performance.now() + START_MS; performance.now() < until; await pause(20)) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host, port }, () => resolve(true)).on("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (accepted) return;
  }
  throw new Error(`nothing answers at ${host}:${port} after ${START_MS} ms`);
}

function nginx(directory: string, key: string, certificate: string): string {
  return `daemon off; worker_processes 1; pid ${directory}/nginx.pid; user root;
events { worker_connections 8192; }
http {
  access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 600s;
  client_body_temp_path ${directory}/t1; proxy_temp_path ${directory}/t2; fastcgi_temp_path ${directory}/t3; uwsgi_temp_path ${directory}/t4; scgi_temp_path ${directory}/t5;
  server {
    listen ${TLS_PORT} ssl backlog=4096; listen ${HTTP_PORT} backlog=4096;
    ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3;
    root ${directory}/www;
    location = /small { default_type text/plain; return 200 "ok\\n"; }
  }
}
`;
}
