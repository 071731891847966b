import { join } from "node:path";
import {
  type Created,
  type Listed,
  type Observed,
  type OpenContext,
  type Op,
  type Provider,
  type Ref,
  type SandboxSpec,
  type Usage,
} from "../../contract/index.ts";
import { shared } from "../shared/at-once.ts";
import { endOverCompanion, execOverCompanion } from "../shared/companion/exec.ts";
import { CompanionProcesses } from "../shared/companion/processes.ts";
import { filesOverExec } from "../shared/files-over-exec.ts";
import { portsOverExec } from "../shared/ports-over-exec.ts";
import { DockerAgents } from "./agents.ts";
import { connect } from "./connect.ts";
import { WORKDIR } from "./container.ts";
import { containerOf, createSandbox, type Maker } from "./create.ts";
import { besideIn } from "./beside.ts";
import { askAgain, engineFailure, statusOf } from "./failure.ts";
import { removeLeftHelpers } from "./helper.ts";
import { Images } from "./image.ts";
import { dockerPause } from "./pause.ts";
import { filterOf, isService, refOf } from "./labels.ts";
import { type DockerOptions, settingsOf } from "./options.ts";
import { hasDiskQuota } from "./quota.ts";
import { remove, removeServices } from "./remove.ts";
import type { ContainerInfo, ContainerStats } from "./sdk.ts";
import { traitsOf } from "./traits.ts";

/**
 * Opens an engine that speaks Docker's API: asks it who it is, and whether it holds disk quotas. Two or three requests.
 *
 * @throws SandboxerError `provider_missing_dependency`, `backend_unavailable`, `backend_auth`.
 */
export async function openDocker(options: DockerOptions, context: OpenContext): Promise<Provider> {
  const settings = settingsOf(options);
  const { backend, failpoint } = context;
  const connection = await connect(settings, join(context.directory, "ssh"), backend);
  const { docker } = connection;
  const where = (phase: string) => ({ phase, backend });
  const within = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(settings.requestTimeoutMs)]);
  const opening = AbortSignal.timeout(settings.requestTimeoutMs);
  const instance = `${context.instance}.${backend}`;
  let info, version, diskQuota;
  try {
    [info, version, diskQuota] = await Promise.all([
      docker.info({ abortSignal: opening }),
      docker.version({ abortSignal: opening }),
      hasDiskQuota(docker, settings.image, instance, opening),
    ]);
  } catch (thrown) {
    connection.close();
    throw engineFailure(thrown, where("open"));
  }
  const images = new Images(docker, settings, { backend, instance });
  const agents = new DockerAgents(docker, backend);
  const maker: Maker = { agents, images, settings, info, instance, diskQuota, failpoint, verified: new Set() };
  const creating = new Map<string, Promise<Created>>();
  const exec = execOverCompanion(agents);

  const create = (spec: SandboxSpec, op: Op): Promise<Created> => shared(creating, spec.id, () => createSandbox(maker, spec, op));

  async function destroy(ref: Ref, op: Op): Promise<"destroyed" | "absent"> {
    agents.forget(ref.native);
    try {
      const signal = within(op.signal);
      const answer = await remove(containerOf(maker, ref), signal);
      return (await removeServices(docker, instance, ref.id, signal)) ? "destroyed" : answer;
    } catch (thrown) {
      throw engineFailure(thrown, where("destroy"), op.signal);
    }
  }

  async function* list(op: Op): AsyncGenerator<Listed> {
    let found;
    try {
      found = await askAgain(
        () => docker.listContainers({ all: true, filters: filterOf(instance), abortSignal: within(op.signal) }),
        op.signal,
      );
    } catch (thrown) {
      throw engineFailure(thrown, where("list"), op.signal);
    }
    // A service without its sandbox is what a broken removal has left: it stands for it.
    const whole = new Set(found.filter(({ Labels }) => !isService(Labels)).map(({ Id, Labels }) => refOf(Id, Labels).id));
    for (const { Id, State, Labels } of found) {
      const ref = refOf(Id, Labels);
      if (!isService(Labels)) yield { ...ref, running: State === "running" };
      else if (!whole.has(ref.id)) yield { ...ref, running: false };
    }
  }

  async function inspect(ref: Ref, op: Op): Promise<Observed | "absent"> {
    const container = containerOf(maker, ref);
    const abortSignal = within(op.signal);
    try {
      const told = await askAgain(() => container.inspect({ abortSignal }), op.signal);
      const stats = told.State.Running ? await container.stats({ stream: false, "one-shot": true, abortSignal }) : {};
      return { ...stateOf(told), usage: usageOf(stats, told) };
    } catch (thrown) {
      if (statusOf(thrown) === 404) return "absent";
      throw engineFailure(thrown, where("inspect"), op.signal);
    }
  }

  return {
    traits: traitsOf(settings, info, version.Version, diskQuota),
    pause: dockerPause(maker, within),
    create,
    exec,
    destroy,
    list,
    inspect,
    abandonExec: (ref, execId, op) => endOverCompanion(agents, ref, execId, op),
    files: filesOverExec({ exec, workdir: WORKDIR }),
    ports: portsOverExec({ exec }),
    processes: new CompanionProcesses(agents),
    beside: besideIn(docker, { instance, backend }),
    async maintain(op) {
      try {
        await removeLeftHelpers(docker, instance, within(op.signal));
      } catch (thrown) {
        throw engineFailure(thrown, where("maintain"), op.signal);
      }
    },
    async dispose() {
      connection.close();
    },
  };
}

/** The first process ends with 0 at the sandbox's max_life, and in no other way by itself. */
function stateOf({ State, Config }: ContainerInfo): Pick<Observed, "state" | "stoppedBecause"> {
  if (State.Paused) return { state: "paused" };
  if (State.Running) return { state: "running" };
  if (State.OOMKilled) return { state: "stopped", stoppedBecause: "oom" };
  const { maxLifeAt } = refOf("", Config.Labels ?? {});
  const expired = State.ExitCode === 0 && Date.parse(State.FinishedAt) >= maxLifeAt - 2000;
  return { state: "stopped", stoppedBecause: expired ? "expired" : State.ExitCode === 0 ? "exited" : "unknown" };
}

const NS_PER_S = 1e9;

function usageOf(stats: ContainerStats, { State }: ContainerInfo): Usage {
  const cpu = stats.cpu_stats?.cpu_usage?.total_usage;
  return {
    cpu_seconds: cpu === undefined ? null : cpu / NS_PER_S,
    memory_bytes: stats.memory_stats?.usage ?? null,
    memory_peak_bytes: stats.memory_stats?.max_usage ?? null,
    disk_bytes: null,
    inodes: null,
    pids: stats.pids_stats?.current ?? null,
    oom_kills: State.OOMKilled ? 1 : null,
  };
}
