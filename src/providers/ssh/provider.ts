import { join } from "node:path";
import {
  type Created,
  type Listed,
  type Observed,
  type OpenContext,
  type Op,
  type Provider,
  type Ref,
  SandboxerError,
  type SandboxSpec,
} from "../../contract/index.ts";
import { shared } from "../shared/at-once.ts";
import { endOverCompanion, execOverCompanion } from "../shared/companion/exec.ts";
import { CompanionProcesses } from "../shared/companion/processes.ts";
import { filesOverExec } from "../shared/files-over-exec.ts";
import { portsOverExec } from "../shared/ports-over-exec.ts";
import { SshAgents, WORKDIR } from "./agents.ts";
import { createSandbox, type Maker } from "./create.ts";
import { Host } from "./host.ts";
import { settingsOf, type SshProviderOptions } from "./options.ts";
import { traitsOf } from "./traits.ts";

/** Words of each entry of a list. */
const ENTRY = 5;

/**
 * Opens a host by SSH: connects, brings our program there, and tries whether sandboxes and their limits can be made. One connection.
 *
 * @throws SandboxerError `backend_auth`, `backend_unavailable`, `backend_rejected`, `isolation_unavailable` where the login is not root or namespaces
 * cannot be made.
 */
export async function openSsh(options: SshProviderOptions, context: OpenContext): Promise<Provider> {
  const settings = settingsOf(options);
  const { backend, failpoint } = context;
  const host = new Host(settings, join(context.directory, "ssh"), { instance: `${context.instance}.${backend}`, backend });
  const within = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(settings.requestTimeoutMs)]);
  const ask = (phase: string, words: readonly string[], { signal }: Op) => host.ask(words, { signal: within(signal), phase });
  let facts, limits: string;
  try {
    const opening = AbortSignal.timeout(settings.requestTimeoutMs);
    facts = await (await host.connection(opening)).facts();
    [limits = ""] = await host.ask(["probe"], { signal: opening, phase: "open" });
  } catch (thrown) {
    host.close();
    throw SandboxerError.from(thrown, { phase: "open", backend });
  }
  const limited = limits === "limits";
  const agents = new SshAgents(host, limited);
  const maker: Maker = { host, limited, requestTimeoutMs: settings.requestTimeoutMs, failpoint };
  const creating = new Map<string, Promise<Created>>();
  const exec = execOverCompanion(agents);

  const create = (spec: SandboxSpec, op: Op): Promise<Created> => shared(creating, spec.id, () => createSandbox(maker, spec, op));

  async function destroy({ id, generation }: Ref, op: Op): Promise<"destroyed" | "absent"> {
    const [answer] = await ask("destroy", ["destroy", id, String(generation)], op);
    return answer === "absent" ? "absent" : "destroyed";
  }

  async function* list(op: Op): AsyncGenerator<Listed> {
    const words = await ask("list", ["list"], op);
    for (let at = 0; at < words.length; at += ENTRY) {
      const [id = "", tenant = "", generation, maxLifeAt, state] = words.slice(at, at + ENTRY);
      yield { id, tenant, generation: Number(generation), native: id, maxLifeAt: Number(maxLifeAt), running: state === "running" };
    }
  }

  async function inspect({ id, generation }: Ref, op: Op): Promise<Observed | "absent"> {
    const [state, ...figures] = await ask("inspect", ["inspect", id, String(generation)], op);
    if (state === "absent") return "absent";
    const [cpu = null, memory = null, peak = null, pids = null, oomKills = null] = figures.map((text) =>
      text === "" ? null : Number(text),
    );
    return {
      ...(state === "running" ? { state } : { state: "stopped", stoppedBecause: state === "expired" ? "expired" : "unknown" }),
      usage: {
        cpu_seconds: cpu === null ? null : cpu / 1e9,
        memory_bytes: memory,
        memory_peak_bytes: peak,
        disk_bytes: null,
        inodes: null,
        // Its first process is ours.
        pids: pids === null || !limited ? pids : Math.max(0, pids - 1),
        oom_kills: oomKills,
      },
    };
  }

  return {
    traits: traitsOf(host.label, facts, limited ? undefined : limits),
    create,
    exec,
    destroy,
    list,
    inspect,
    abandonExec: (ref, execId, op) => endOverCompanion(agents, ref, execId, op),
    files: filesOverExec({ exec, workdir: WORKDIR }),
    ports: portsOverExec({ exec }),
    processes: new CompanionProcesses(agents),
    async maintain(op) {
      await ask("maintain", ["tidy"], op);
    },
    async dispose() {
      host.close();
    },
  };
}
