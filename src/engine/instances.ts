import { readFileSync, readlinkSync } from "node:fs";
import { deleteInstance, insertInstance, type InstanceRow, type Ledger, listInstances, markSeen, type NewInstanceRow, releaseLeases, renewInstance, saveHost } from "../ledger/index.ts"; // prettier-ignore
import { systemClock } from "./clock.ts";
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

/** How long a control plane of a fleet counts as alive after it last said so; 30 s unless configured. */
export function leaseMs({ config }: Context): number {
  return (config.fleet?.lease ?? 30) * 1000;
}

function ownRow(ctx: Context): NewInstanceRow {
  return {
    id: ctx.instance,
    boot_id: ctx.clock.bootId,
    pid_namespace: pidNamespace(),
    pid: process.pid,
    start_ticks: startTicks(process.pid) ?? 0,
    seen_at: ctx.clock.now(),
    host: ctx.host?.id ?? null,
    started_at: ctx.clock.now(),
  };
}

/** Puts this process into the ledger, so that others leave its work alone while it lives. */
export async function registerInstance(ctx: Context): Promise<void> {
  await (ctx.ledger.shared ? renewLease(ctx) : insertInstance(ctx.ledger.db, ownRow(ctx)));
}

/** In a fleet: says for one more lease that this process is alive, and so is its host. */
export async function renewLease(ctx: Context): Promise<void> {
  await renewInstance(ctx.ledger, ownRow(ctx), leaseMs(ctx));
  if (ctx.host !== null) await saveHost(ctx.ledger, ctx.host);
}

/** Takes it out again. What it still owned then belongs to nobody. */
export async function unregisterInstance(ctx: Context): Promise<void> {
  await deleteInstance(ctx.ledger.db, ctx.instance);
  if (ctx.ledger.shared) await releaseLeases(ctx.ledger, ctx.instance);
}

/** The kernel's word where it can be had; of a process elsewhere in a fleet the lease, by the ledger's clock. */
function lives(ctx: Context, row: InstanceRow & { left_ms: number }, namespace: string): boolean {
  if (row.id === ctx.instance) return true;
  const elsewhere = row.boot_id !== ctx.clock.bootId || row.pid_namespace !== namespace;
  if (elsewhere && ctx.ledger.shared) return row.left_ms > 0;
  if (row.boot_id !== ctx.clock.bootId) return false;
  if (elsewhere) return ctx.clock.now() - row.seen_at < SILENT_MS;
  return row.start_ticks === 0 ? processExists(row.pid) : startTicks(row.pid) === row.start_ticks;
}

/** Of a file: the processes that have it open for work, by the kernel's word. */
export async function runningInstances(ledger: Ledger): Promise<InstanceRow[]> {
  const boot = systemClock().bootId;
  const rows = await listInstances(ledger);
  return rows.filter((row) => row.boot_id === boot && (row.pid_namespace !== pidNamespace() || startTicks(row.pid) === row.start_ticks));
}

/** Ids of the instances that live; what any other one owns may be settled. */
export async function livingInstances(ctx: Context): Promise<Set<string>> {
  const namespace = pidNamespace();
  const rows = await listInstances(ctx.ledger);
  return new Set([ctx.instance, ...rows.filter((row) => lives(ctx, row, namespace)).map(({ id }) => id)]);
}

/** Says that this one is alive and forgets the dead. */
export async function heartbeat(ctx: Context, living: ReadonlySet<string>): Promise<void> {
  await (ctx.ledger.shared ? renewLease(ctx) : markSeen(ctx.ledger.db, ctx.instance, ctx.clock.now()));
  for (const { id } of await listInstances(ctx.ledger)) if (!living.has(id)) await deleteInstance(ctx.ledger.db, id);
}
