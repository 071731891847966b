import { Readable } from "node:stream";
import { type Beside, type Op, type Ref, SandboxerError, type ServiceState } from "../../contract/index.ts";
import { askAgain, engineFailure } from "./failure.ts";
import { filterOf, isService, nameOf, refOf, serviceOf } from "./labels.ts";
import { demultiplexed } from "./multiplexed.ts";
import type { Container, ContainerEntry, ContainerInfo, Docker } from "./sdk.ts";

/** Tells of the services beside a sandbox, and passes on their logs: the engine keeps the last 10 MB of each. */
export function besideIn(docker: Docker, { instance, backend }: { instance: string; backend: string }): Beside {
  const where = { phase: "services", backend };

  async function found(ref: Ref, op: Op): Promise<ContainerEntry[]> {
    const filters = filterOf(instance, ref.id);
    const all = await askAgain(() => docker.listContainers({ all: true, filters, abortSignal: op.signal }), op.signal);
    if (!all.some(({ Id, Labels }) => !isService(Labels) && refOf(Id, Labels).generation === ref.generation))
      throw new SandboxerError("sandbox_not_found", `sandbox ${ref.id} is not at this engine`, where);
    return all.filter(({ Labels }) => isService(Labels));
  }

  async function* logs(ref: Ref, name: string, { tail, follow }: { tail: number; follow: boolean }, op: Op): ReturnType<Beside["logs"]> {
    try {
      const names = (await found(ref, op)).map(({ Labels }) => serviceOf(Labels));
      if (!names.includes(name)) {
        const list = names.length === 0 ? "it has none" : `it has ${names.toSorted().join(", ")}`;
        throw new SandboxerError("not_found", `sandbox ${ref.id} has no service "${name}": ${list}`, where);
      }
      const container = docker.getContainer(`${nameOf(instance, ref.id)}-${name}`);
      for await (const event of demultiplexed(await open(container, { tail, follow }, op.signal))) if ("data" in event) yield event;
    } catch (thrown) {
      throw engineFailure(thrown, where, op.signal);
    }
  }

  return {
    async list(ref, op) {
      try {
        const services = await found(ref, op);
        const told = await Promise.all(services.map(({ Id }) => docker.getContainer(Id).inspect({ abortSignal: op.signal })));
        return told.map((info) => stateOf(info)).sort((a, b) => (a.name < b.name ? -1 : 1));
      } catch (thrown) {
        throw engineFailure(thrown, where, op.signal);
      }
    },
    logs,
  };
}

/** dockerode answers a buffer, or where it follows a stream, which ends with the service. */
async function open(
  container: Container,
  { tail, follow }: { tail: number; follow: boolean },
  abortSignal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const told = await container.logs({ stdout: true, stderr: true, tail, follow, abortSignal });
  if (Buffer.isBuffer(told)) return Readable.from([told]);
  abortSignal.addEventListener("abort", () => told.destroy(), { once: true });
  if (abortSignal.aborted) told.destroy();
  return told;
}

function stateOf({ Config, State }: ContainerInfo): ServiceState {
  const health = State.Health?.Status;
  return {
    object: "service",
    name: serviceOf(Config.Labels ?? {}),
    state: State.Running ? "running" : State.Status === "created" ? "created" : "ended",
    health: health === "starting" || health === "healthy" || health === "unhealthy" ? health : null,
    exit_code: State.Running || State.Status === "created" ? null : State.ExitCode,
  };
}
