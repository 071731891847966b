import type { Sandbox, SandboxOpts } from "e2b";
import type { Config } from "../../../src/contract/index.ts";
import { cleanUp, dataDirectory, localConfig } from "../../support/local-engine.ts";
import { openE2bDoor, SDKS, type E2bTestDoor } from "./e2b-door.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("not tested over the local provider: it needs root for disks of its own");

export interface Stage {
  readonly backend: "fake" | "local";
  readonly sdk: (typeof SDKS)[number];
}

/** Each backend that this machine has, with the newest SDK; the older one speaks the same wire, so it runs over one of them. */
export const STAGES: readonly Stage[] = [
  { backend: "fake", sdk: SDKS[0] },
  { backend: "fake", sdk: SDKS[1] },
  ...(isRoot ? [{ backend: "local", sdk: SDKS[0] } as const] : []),
];
export const LOCAL: readonly Stage[] = STAGES.filter(({ backend }) => backend === "local");

/** For titles: which SDK over which backend. */
export function titled(stages: readonly Stage[]): [string, Stage][] {
  return stages.map((stage) => [`e2b ${stage.sdk.version} over ${stage.backend}`, stage]);
}

/** A sandbox as the SDK has it, over a real server. Everything is gone afterwards. */
export async function withSandbox(
  { backend, sdk }: Stage,
  use: (sandbox: Sandbox, door: E2bTestDoor) => Promise<void>,
  options: SandboxOpts = {},
): Promise<void> {
  const config: Config = backend === "local" ? localConfig() : {};
  const door = await openE2bDoor(config, backend === "local" ? { dataDir: dataDirectory("e2b-data") } : {});
  try {
    await use(await sdk.Sandbox.create({ ...(await door.connection()), ...options }), door);
  } finally {
    await cleanUp(door.opened);
  }
}

/** Waits until something is so. Fails by the test's own limit. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}
