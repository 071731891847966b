import { readdirSync, readFileSync } from "node:fs";
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
  const read = <T>(...path: string[]): T => JSON.parse(readFileSync(join(directory, ...path), "utf8")) as T;
  const running = ours.exec(id, ["sleep", "1"]);
  let name: string | undefined;
  for (let look = 0; look < 200 && name === undefined; look++) {
    await pause(5);
    name = readdirSync(join(directory, "exec")).find((file) => file.endsWith(".json"));
  }
  if (name === undefined) throw new Error("no exec's process.json was seen");
  const process = read<Bundle["process"]>("exec", name);
  const bundle = { config: read<BundleConfig>("config.json"), process, runtime: read<{ runtime: string }>("sandbox.json").runtime };
  await running;
  await ours.destroy(id);
  return { ...bundle, process: withCommand(process, ["true"]) };
}

/** The same process with another command behind its init. */
export function withCommand(process: Bundle["process"], command: readonly string[]): Bundle["process"] {
  const separator = process.args.indexOf("--");
  return { ...process, args: [...process.args.slice(0, separator + 1), ...command] };
}
