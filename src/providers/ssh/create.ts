import { type Created, meetsIsolation, type Op, SandboxerError, type SandboxSpec } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../shared/abort.ts";
import { type Host, unlessAborted } from "./host.ts";

export interface Maker {
  readonly host: Host;
  /** Whether control groups hold there. */
  readonly limited: boolean;
  readonly requestTimeoutMs: number;
  readonly failpoint: (name: string) => void;
}

/** The steps at which a test may kill the control plane. */
export const CREATE_FAILPOINTS = ["ssh.create.before", "ssh.create.sent", "ssh.create.after"] as const;

/** The engine waits 10 s for what was aborted. */
const UNDO_WITHIN_MS = 8000;

/**
 * Makes one sandbox: one question over the connection that stands. Its directory's name makes it idempotent.
 *
 * @throws SandboxerError `isolation_unavailable`, `capability_unsupported`, `quota_exceeded` (no user is left), `backend_*`, `ambiguous_create`, `canceled`.
 */
export async function createSandbox(maker: Maker, spec: SandboxSpec, op: Op): Promise<Created> {
  const { host, failpoint } = maker;
  const where = { phase: "create", backend: host.backend };
  check(spec, where);
  throwIfAborted(op.signal);
  await host.connection(op.signal);
  failpoint("ssh.create.before");
  const { cpu, memoryBytes, diskBytes, pids } = spec.resources;
  const seconds = (spec.maxLifeAt - Date.now()) / 1000;
  const env = Object.entries(spec.env).map(([name, value]) => `${name}=${value}`).join("\0"); // prettier-ignore
  const words = [
    "create", spec.id, spec.tenant, spec.generation, spec.maxLifeAt, seconds.toFixed(3), spec.hostname, maker.limited ? 1 : 0, cpu, Math.round(memoryBytes), Math.round(diskBytes), pids, env,
  ].map(String); // prettier-ignore
  const asked = host.ask(words, { signal: AbortSignal.timeout(maker.requestTimeoutMs), phase: "create" });
  failpoint("ssh.create.sent");
  try {
    const [uid = "", how = ""] = await unlessAborted(asked, op.signal);
    failpoint("ssh.create.after");
    throwIfAborted(op.signal);
    const { id, tenant, generation, maxLifeAt } = spec;
    const notes = [`user ${uid} at ${host.label}${how === "found" ? ", made before" : ""}`];
    return { ref: { id, tenant, generation, native: id, maxLifeAt }, isolation: { level: "process", runtime: "namespaces", notes } };
  } catch (thrown) {
    const why = op.signal.aborted ? whyAborted(op.signal).with(where) : SandboxerError.from(thrown, where);
    // What the host itself refused, it has undone.
    const [answered] = await Promise.allSettled([withinUndo(asked)]);
    if (answered.status === "fulfilled" || op.signal.aborted || ["backend_unavailable", "backend_auth", "timeout"].includes(why.code))
      await undo(maker, spec, op, why);
    throw why;
  }
}

const withinUndo = <T>(asked: Promise<T>): Promise<T> => unlessAborted(asked, AbortSignal.timeout(UNDO_WITHIN_MS));

/** What this backend would not do is refused before anything is made. */
function check(spec: SandboxSpec, where: { phase: string; backend: string }): void {
  const unsupported = (message: string): never => {
    throw new SandboxerError("capability_unsupported", message, where);
  };
  if (!meetsIsolation("process", spec.isolationMin))
    throw new SandboxerError("isolation_unavailable", `a user on a host by SSH gives process, below ${spec.isolationMin}`, where);
  if (spec.image !== "host") unsupported(`image: this backend cannot start from "${spec.image}", only from the host's own programs`);
  if (spec.egress !== undefined) unsupported("network: this backend has no egress through our boundary");
  if (spec.services !== undefined) unsupported("services: this backend runs nothing beside a sandbox");
  if (spec.user !== undefined && spec.user !== "sandbox") unsupported('user: a sandbox of this backend has one user, "sandbox"');
  if (spec.maxLifeAt - Date.now() < 1000) throw new SandboxerError("timeout", "max_life is over before the sandbox could be made", where);
}

async function undo({ host }: Maker, { id, generation }: SandboxSpec, { log }: Op, why: SandboxerError): Promise<void> {
  try {
    await host.ask(["destroy", id, String(generation)], { signal: AbortSignal.timeout(UNDO_WITHIN_MS), phase: "create" });
  } catch (cause) {
    log.warn({ sandbox: id, error: String(cause) }, "a create could not be undone; the sweep will");
    throw new SandboxerError("ambiguous_create", `${why.message}; what it made could not be removed`, { phase: "create", backend: host.backend, cause }); // prettier-ignore
  }
}
