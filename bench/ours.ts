import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
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

/**
 * Makes sandboxes, takes the second one's bundle and the process of a running exec as they are, and ends them. The
 * second one's, since the first of a runtime compiles the system call filter that later ones are given compiled.
 */
export async function takeBundle(ours: Ours): Promise<Bundle> {
  await ours.destroy(await ours.create());
  const id = await ours.create();
  const running = ours.exec(id, ["sleep", "1"]);
  let seen: ReturnType<typeof callOf>;
  for (let look = 0; look < 200 && seen === undefined; look++) {
    await pause(5);
    seen = callOf(id);
  }
  if (seen === undefined) throw new Error("no exec's process.json was seen");
  const { runtime, processFile } = seen;
  const process = JSON.parse(readFileSync(processFile, "utf8")) as Bundle["process"];
  const config = JSON.parse(readFileSync(join(dirname(processFile), "config.json"), "utf8")) as BundleConfig;
  await running;
  await ours.destroy(id);
  return { config, runtime, process: withCommand(process, ["true"]) };
}

/** The runtime that runs an exec in the sandbox, and what it was given as `--process`. */
function callOf(id: string): { runtime: string; processFile: string } | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    // Processes come and go during the look.
    if (!existsSync(`/proc/${pid}/cmdline`)) continue;
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (!words.includes("exec") || !words.includes(id)) continue;
    const [runtime, processFile] = [words[words.indexOf("--root") - 1], words[words.indexOf("--process") + 1]];
    if (runtime !== undefined && processFile !== undefined) return { runtime: basename(runtime), processFile };
  }
  return undefined;
}

/** The same process with another command behind its init. */
export function withCommand(process: Bundle["process"], command: readonly string[]): Bundle["process"] {
  const separator = process.args.indexOf("--");
  return { ...process, args: [...process.args.slice(0, separator + 1), ...command] };
}
