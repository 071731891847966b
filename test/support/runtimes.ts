import { openLocal } from "./local-engine.ts";

/** A runtime that works on this machine, found out by making sandboxes with it. */
export interface WorkingRuntime {
  readonly runtime: string;
  readonly level: "container" | "gvisor";
}

async function works(runtime: string): Promise<WorkingRuntime | undefined> {
  await using local = await openLocal("probe", { runtime });
  const [backend] = await local.engine.backends({ tenant: "default", key_id: null, scopes: ["read"] });
  const found = backend?.isolation.find(({ level }) => level === "container" || level === "gvisor");
  if (found === undefined) console.warn(`not tested with ${runtime}: ${backend?.reason ?? "it does not work here"}`);
  return found === undefined ? undefined : { runtime, level: found.level as WorkingRuntime["level"] };
}

/** Of the named runtimes, those that work here; the others are printed with their reason. Throws where none does. */
export async function workingRuntimes(...names: string[]): Promise<WorkingRuntime[]> {
  const found: WorkingRuntime[] = [];
  for (const name of names) {
    const working = await works(name);
    if (working !== undefined) found.push(working);
  }
  if (found.length === 0) throw new Error(`none of ${names.join(", ")} works on this machine`);
  return found;
}

/** One runtime of each level: for what the level promises, and the runtimes of one level have in common. */
export async function oneOfEachLevel(): Promise<WorkingRuntime[]> {
  const working = await workingRuntimes(...ALL_RUNTIMES);
  return working.filter(({ level }, index) => working.findIndex((one) => one.level === level) === index);
}

/** A runtime of level `container` that works here. Throws where none does. */
export async function containerRuntime(): Promise<(typeof CONTAINER_RUNTIMES)[number]> {
  const [found] = await workingRuntimes(...CONTAINER_RUNTIMES);
  return found?.runtime === "runc" ? "runc" : "crun";
}

export const CONTAINER_RUNTIMES = ["crun", "runc"] as const;
export const ALL_RUNTIMES = ["crun", "runc", "runsc"] as const;
