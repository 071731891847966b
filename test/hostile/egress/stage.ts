import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Config, CreateRequest } from "../../../src/contract/index.ts";
import { LOCAL_OPERATOR } from "../../../src/contract/index.ts";
import { type Local, openLocal } from "../../support/local-engine.ts";
import type { Seen } from "../../support/world/protocol.ts";
import { World, WORLD } from "../../support/world/world.ts";

const NET = readFileSync(join(import.meta.dirname, "../attacks/net.py"), "utf8");

/** What one attack answered: `ok: false` where it could not even be tried. */
export interface Attack {
  readonly ok: boolean;
  readonly error?: string;
  readonly reply?: string;
  readonly end?: string;
  readonly answers?: readonly { readonly status: number; readonly text: string }[] | number;
  readonly rcode?: number;
  readonly address?: string;
  readonly socks?: number;
  readonly handshake?: string;
}

/** An engine whose sandboxes can reach the world and nothing else. */
export interface Stage extends AsyncDisposable {
  readonly local: Local;
  readonly world: World;
  /** A sandbox of a profile that has this network (and secrets), with the attacks in it. */
  readonly sandbox: (network: object, more?: { secrets?: object[]; request?: CreateRequest }) => Promise<Inside>;
}

/** A sandbox, from the attacker's side. */
export interface Inside {
  readonly id: string;
  readonly sh: (command: string) => Promise<{ stdout: string; stderr: string; exitCode: number | null }>;
  readonly attack: (...args: string[]) => Promise<Attack>;
  /** curl's exit code and what it printed. */
  readonly curl: (...args: string[]) => Promise<{ code: number | null; text: string }>;
}

let profiles = 0;

export async function openStage(runtime: string, config: Config = {}): Promise<Stage> {
  const world = await World.open();
  const network = { resolvers: [`${WORLD.dns}:53`], ca_file: world.caFile };
  const local = await openLocal("egress", { runtime, config: { ...config, network }, stays: true });
  return {
    local,
    world,
    async sandbox(network, { secrets = [], request = {} } = {}) {
      const name = `egress-${profiles++}`;
      await local.engine.profiles.apply(LOCAL_OPERATOR, {
        kind: "profile", name, version: 1, network, ...(secrets.length === 0 ? {} : { secrets }),
      }); // prettier-ignore
      const { id } = await local.create({ ...request, profile: name }, LOCAL_OPERATOR);
      const exec = async (argv: string[]) => local.exec(id, { argv, timeout: 50 }, LOCAL_OPERATOR);
      const sh: Inside["sh"] = (command) => exec(["/bin/sh", "-c", command]);
      await local.engine.files.write(LOCAL_OPERATOR, id, "net.py", pieces(NET), {});
      return {
        id,
        sh,
        async attack(...args) {
          const { stdout, stderr } = await exec(["/usr/bin/python3", "net.py", ...args]);
          expect(stdout, `${args.join(" ")}: ${stderr}`).not.toBe("");
          return JSON.parse(stdout) as Attack;
        },
        async curl(...args) {
          const { stdout, exitCode } = await exec(["/usr/bin/curl", "-sS", "-m", "20", ...args]);
          return { code: exitCode, text: stdout };
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await local[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** What reached the world, without the questions of our own resolver. */
export async function arrived(world: World): Promise<Seen[]> {
  return (await world.seen()).filter(({ kind }) => kind !== "dns");
}

export { WORLD };
