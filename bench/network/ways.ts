import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "../server.ts";
import { ADDRESS } from "./cables.ts";
import { type FarEnd, inside, withSbin } from "./far.ts";

const CLIENT = readFileSync(join(import.meta.dirname, "client.py"), "utf8");
const LIMIT_MS = 400_000;

/** Somewhere a client runs. */
export interface Way {
  /** Standard output of a program there. Throws for anything but exit 0. */
  readonly run: (argv: readonly string[], signal?: AbortSignal) => Promise<string>;
  /** What a client there dials for the far end; "-" where it looks the name up. */
  readonly address: string;
}

/** The near namespace, with the far one at the other end of a cable. */
export function direct(far: FarEnd): Way {
  return { address: ADDRESS.farDirect, run: (argv, signal) => runHere(inside(far.cables.near, ...argv), signal) };
}

/** A sandbox of the profile; the boundary is its only way out. */
export async function sandboxed(server: Server, profile: string): Promise<Way & { readonly id: string }> {
  const { id } = await server.client.json<{ id: string }>("POST", "/v1/sandboxes", { profile });
  return {
    id,
    address: "-",
    async run(argv) {
      const timeout = Math.ceil(LIMIT_MS / 1000);
      const end = await server.client.json<{ exit_code: number | null; stdout: string; stderr: string }>("POST", `/v1/sandboxes/${id}/exec`, { argv, timeout }); // prettier-ignore
      if (end.exit_code !== 0)
        throw new Error(`${argv[0]} in a sandbox answered ${end.exit_code}: ${end.stderr.slice(0, 2000)}${end.stdout.slice(0, 500)}`);
      return end.stdout;
    },
  };
}

/** Runs the client in one of its modes and answers what it saw. */
export async function measureIn<T>(way: Way, mode: string, host: string, port: number, ...rest: readonly number[]): Promise<T> {
  const text = await way.run(["/usr/bin/python3", "-c", CLIENT, mode, host, way.address, String(port), ...rest.map(String)]);
  return JSON.parse(text) as T;
}

function runHere([command = "", ...args]: readonly string[], signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: withSbin(), signal, timeout: LIMIT_MS });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (stdout += piece));
    child.stderr.setEncoding("utf8").on("data", (piece: string) => (stderr += piece));
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(stdout) : reject(new Error(`${args[3] ?? command} answered ${code}: ${stderr}`))));
  });
}
