import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Server } from "./server.ts";

/** The jobs that are measured, done over HTTP. */
export class Ours {
  readonly server: Server;

  constructor(server: Server) {
    this.server = server;
  }

  /** Answers its id. */
  async create(request: object = {}): Promise<string> {
    return (await this.server.client.json<{ id: string }>("POST", "/v1/sandboxes", request)).id;
  }

  /** Throws for anything but exit 0: a figure of what failed would be worth nothing. */
  async exec(id: string, argv: readonly string[] = ["true"]): Promise<void> {
    const end = await this.server.client.json<{ exit_code: number | null; stderr: string }>("POST", `/v1/sandboxes/${id}/exec`, { argv });
    if (end.exit_code !== 0) throw new Error(`${argv.join(" ")} answered ${end.exit_code}: ${end.stderr}`);
  }

  async destroy(id: string): Promise<void> {
    const { state } = await this.server.client.json<{ state: string }>("DELETE", `/v1/sandboxes/${id}`);
    if (state !== "terminated") throw new Error(`sandbox ${id} is ${state} after its end`);
  }

  /** How many are ready, over all pages. */
  async countReady(): Promise<number> {
    let count = 0;
    for (let cursor: string | null = ""; cursor !== null;) {
      const page: { data: unknown[]; next_cursor: string | null } = await this.server.client.json(
        "GET",
        `/v1/sandboxes?state=ready&limit=200${cursor === "" ? "" : `&cursor=${cursor}`}`,
      );
      count += page.data.length;
      cursor = page.next_cursor;
    }
    return count;
  }
}

/** What the provider wrote of one real sandbox: the template of the sandboxes that are made by hand. */
export interface Bundle {
  /** The whole `config.json`. */
  readonly config: BundleConfig;
  /** The `process.json` of an exec of `true`. */
  readonly process: object & { args: string[] };
  readonly runtime: string;
}

export interface BundleConfig {
  hostname: string;
  mounts: { destination: string; source: string }[];
  linux: { cgroupsPath: string; uidMappings: { hostID: number }[]; gidMappings: { hostID: number }[] };
}

/** Directory of a sandbox's bundle. */
export function bundleDirectory(server: Server, id: string): string {
  return join(server.backend, "sandboxes", id);
}

/**
 * Makes sandboxes, takes the second one's bundle and the process of a running exec as they are, and ends them. The
 * second one's, since the first of a runtime compiles the system call filter that later ones are given compiled.
 */
export async function takeBundle(ours: Ours): Promise<Bundle> {
  await ours.destroy(await ours.create());
  const id = await ours.create();
  const directory = bundleDirectory(ours.server, id);
  const read = (name: string): unknown => JSON.parse(readFileSync(join(directory, name), "utf8"));
  const running = ours.exec(id, ["sleep", "1"]);
  let file: string | undefined;
  for (let look = 0; look < 200 && file === undefined; look++) {
    await pause(5);
    file = processFileOf(id);
  }
  if (file === undefined) throw new Error("no exec's process.json was seen");
  const process = JSON.parse(readFileSync(file, "utf8")) as Bundle["process"];
  const bundle = { config: read("config.json") as BundleConfig, process, runtime: (read("sandbox.json") as { runtime: string }).runtime };
  await running;
  await ours.destroy(id);
  return { ...bundle, process: withCommand(process, ["true"]) };
}

/** What a runtime that runs an exec in the sandbox was given as `--process`. */
function processFileOf(id: string): string | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    // Processes come and go during the look.
    if (!existsSync(`/proc/${pid}/cmdline`)) continue;
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (words.includes("exec") && words.includes(id)) return words[words.indexOf("--process") + 1];
  }
  return undefined;
}

/** The same process with another command behind its init. */
export function withCommand(process: Bundle["process"], command: readonly string[]): Bundle["process"] {
  const separator = process.args.indexOf("--");
  return { ...process, args: [...process.args.slice(0, separator + 1), ...command] };
}
