import { readFileSync, readlinkSync } from "node:fs";
import { deleteInstance, type InstanceRow, insertInstance, listInstances, markSeen } from "../ledger/index.ts";
import type { Context } from "./context.ts";

/** An instance in a PID namespace we cannot look into counts as dead when it has not swept for so long. */
const SILENT_MS = 5 * 60_000;

function absent(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ESRCH" || thrown.code === "EACCES");
}

/** When the process started, in clock ticks since boot: with the pid it names a process beyond doubt. null: no such process, or no /proc. */
function startTicks(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name may hold spaces and parentheses: fields count from behind the last one. A zombie no longer works.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : Number(fields[19]);
  } catch (thrown) {
    if (absent(thrown)) return null;
    throw thrown;
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch (thrown) {
    if (absent(thrown)) return "";
    throw thrown;
  }
}

function processExists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "EPERM";
  }
}

/** Puts this process into the ledger, so that others leave its work alone while it lives. */
export async function registerInstance(ctx: Context): Promise<void> {
  const row: InstanceRow = {
    id: ctx.instance,
    boot_id: ctx.clock.bootId,
    pid_namespace: pidNamespace(),
    pid: process.pid,
    start_ticks: startTicks(process.pid) ?? 0,
    seen_at: ctx.clock.now(),
  };
  await insertInstance(ctx.ledger.db, row);
}

/** Takes it out again. What it still owned then belongs to nobody. */
export async function unregisterInstance(ctx: Context): Promise<void> {
  await deleteInstance(ctx.ledger.db, ctx.instance);
}

function lives(ctx: Context, row: InstanceRow, namespace: string): boolean {
  if (row.id === ctx.instance) return true;
  if (row.boot_id !== ctx.clock.bootId) return false;
  if (row.pid_namespace !== namespace) return ctx.clock.now() - row.seen_at < SILENT_MS;
  return row.start_ticks === 0 ? processExists(row.pid) : startTicks(row.pid) === row.start_ticks;
}

/** Ids of the instances that live; what any other one owns may be settled. */
export async function livingInstances(ctx: Context): Promise<Set<string>> {
  const namespace = pidNamespace();
  const rows = await listInstances(ctx.ledger.db);
  return new Set([ctx.instance, ...rows.filter((row) => lives(ctx, row, namespace)).map(({ id }) => id)]);
}

/** Says that this one is alive and forgets the dead. */
export async function heartbeat(ctx: Context, living: ReadonlySet<string>): Promise<void> {
  await markSeen(ctx.ledger.db, ctx.instance, ctx.clock.now());
  for (const { id } of await listInstances(ctx.ledger.db)) if (!living.has(id)) await deleteInstance(ctx.ledger.db, id);
}
