import { setTimeout as sleep } from "node:timers/promises";
import { type Created, meetsIsolation, type Op, type Ref, SandboxerError, type SandboxSpec } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../shared/abort.ts";
import type { DockerAgents } from "./agents.ts";
import { containerConfig, SANDBOX_USER } from "./container.ts";
import { engineFailure, statusOf, wasNeverSent } from "./failure.ts";
import type { Images } from "./image.ts";
import { nameOf, refOf } from "./labels.ts";
import type { Settings } from "./options.ts";
import { remove, removeServices } from "./remove.ts";
import type { Container, ContainerInfo, EngineInfo } from "./sdk.ts";
import { start } from "./start.ts";
import { serviceHosts, startServices } from "./services.ts";
import { runtimeOf } from "./traits.ts";
import { promisedLevel, verifyInside, verifyLimits } from "./verify.ts";

const LOOKS = 3;
/** The engine waits 10 s for what was aborted. */
const UNDO_WITHIN_MS = 8000;

export interface Maker {
  readonly agents: DockerAgents;
  readonly images: Images;
  readonly settings: Settings;
  readonly info: EngineInfo;
  readonly instance: string;
  readonly diskQuota: boolean;
  readonly failpoint: (name: string) => void;
  /** Kinds of sandbox that were looked at from inside, by prepared image. */
  readonly verified: Set<string>;
}

/** The steps at which a test may kill the control plane. */
export const CREATE_FAILPOINTS = [
  "docker.create.before",
  "docker.create.after",
  "docker.create.started",
  "docker.create.service",
  "docker.create.services",
] as const;

/**
 * Makes one sandbox: create, start and inspect, three requests; the first of each image and runtime is looked at from inside as well. The
 * container's name makes it idempotent.
 *
 * @throws SandboxerError `isolation_unavailable`, `capability_unsupported`, `backend_*`, `ambiguous_create`, `canceled`.
 */
export async function createSandbox(maker: Maker, spec: SandboxSpec, op: Op): Promise<Created> {
  check(maker, spec);
  throwIfAborted(op.signal);
  const image = await maker.images.prepared(spec.image, op);
  throwIfAborted(op.signal);
  const user = spec.user === undefined || spec.user === "sandbox" ? (image.user ?? SANDBOX_USER) : spec.user;
  const { name: runtime, path } = runtimeOf(maker.settings, maker.info);
  const config = containerConfig({
    spec,
    instance: maker.instance,
    image: image.id,
    user,
    runtime: maker.settings.runtime,
    diskQuota: maker.diskQuota,
    serviceHosts: serviceHosts(spec.services),
  }) as { HostConfig: Record<string, unknown> };
  const container = await made(maker, spec, config, op);
  try {
    const info = await started(maker, spec, container, config.HostConfig, op);
    const ref = refOf(info.Id, info.Config.Labels ?? {});
    maker.agents.remember(info.Id, user);
    const level = promisedLevel(runtime, path);
    if (!maker.verified.has(image.id)) {
      await verifyInside(maker.agents, ref, level, maker.info.KernelVersion, op);
      maker.verified.add(image.id);
    }
    if (spec.services !== undefined) {
      await startServices(
        {
          docker: maker.agents.docker,
          images: maker.images,
          instance: maker.instance,
          backend: maker.agents.backend,
          failpoint: maker.failpoint,
        },
        spec,
        info,
        op,
      );
      maker.failpoint("docker.create.services");
    }
    throwIfAborted(op.signal);
    return { ref, isolation: { level, runtime, notes: [`Docker container ${info.Id.slice(0, 12)}`] } };
  } catch (thrown) {
    await undo(maker, spec.id, container, op);
    throw op.signal.aborted ? whyAborted(op.signal) : SandboxerError.from(thrown, { phase: "create", backend: maker.agents.backend });
  }
}

/** What this engine would not do is refused before anything is made. */
function check(maker: Maker, spec: SandboxSpec): void {
  const details = { phase: "create", backend: maker.agents.backend };
  const { name, path } = runtimeOf(maker.settings, maker.info);
  const level = promisedLevel(name, path);
  if (!meetsIsolation(level, spec.isolationMin))
    throw new SandboxerError("isolation_unavailable", `${name} at this engine gives ${level}, below ${spec.isolationMin}`, details);
  if (spec.image !== "host" && !spec.image.startsWith("oci:"))
    throw new SandboxerError("capability_unsupported", `image: this backend cannot start from "${spec.image}"`, details);
  if (spec.egress !== undefined)
    throw new SandboxerError("capability_unsupported", "network: this backend has no egress through our boundary", details);
  if (spec.maxLifeAt - Date.now() < 1000) throw new SandboxerError("timeout", "max_life is over before the sandbox could be made", details);
}

async function made(maker: Maker, spec: SandboxSpec, config: object, op: Op): Promise<Container> {
  const { docker } = maker.agents;
  maker.failpoint("docker.create.before");
  try {
    const container = await docker.createContainer({ ...config, abortSignal: op.signal });
    maker.failpoint("docker.create.after");
    return container;
  } catch (thrown) {
    const name = nameOf(maker.instance, spec.id);
    if (statusOf(thrown) === 409) return await sameSandbox(maker, spec, docker.getContainer(name), op);
    if (statusOf(thrown) === 404) maker.images.forget();
    if (statusOf(thrown) !== undefined || wasNeverSent(thrown)) throw failure(maker, thrown, op);
    return await recover(maker, name, thrown, op);
  }
}

/** After a request whose answer is missing: the name finds what it made. */
async function recover(maker: Maker, name: string, thrown: unknown, op: Op): Promise<Container> {
  const container = maker.agents.docker.getContainer(name);
  const why = failure(maker, thrown, op);
  const looking = AbortSignal.timeout(UNDO_WITHIN_MS);
  try {
    for (let look = 0; look < LOOKS; look++) {
      if (look > 0) await sleep(300 * look, undefined, { signal: looking });
      if (op.signal.aborted) {
        if ((await remove(container, looking)) === "destroyed") throw why;
      } else if (await exists(container, looking)) return container;
    }
  } catch (cause) {
    if (cause === why) throw why;
    throw new SandboxerError("ambiguous_create", `${why.message}; whether it made a container could not be looked up`, { phase: "create", backend: maker.agents.backend, cause }); // prettier-ignore
  }
  throw new SandboxerError("ambiguous_create", `${why.message}; its request may still make a container`, { phase: "create", backend: maker.agents.backend, cause: thrown }); // prettier-ignore
}

async function exists(container: Container, abortSignal: AbortSignal): Promise<boolean> {
  try {
    await container.inspect({ abortSignal });
    return true;
  } catch (thrown) {
    if (statusOf(thrown) === 404) return false;
    throw thrown;
  }
}

async function started(
  maker: Maker,
  spec: SandboxSpec,
  container: Container,
  asked: Record<string, unknown>,
  op: Op,
): Promise<ContainerInfo> {
  await start(container, { phase: "create", backend: maker.agents.backend }, op);
  maker.failpoint("docker.create.started");
  let info: ContainerInfo;
  try {
    info = await container.inspect({ abortSignal: op.signal });
  } catch (thrown) {
    throw failure(maker, thrown, op);
  }
  verifyLimits(info, asked);
  if (!info.State.Running)
    throw new SandboxerError("backend_rejected", `the container ended at once with ${info.State.ExitCode}`, {
      phase: "create",
      hint: "The image needs /usr/bin/perl, as every Debian and Ubuntu image has it.",
    });
  return info;
}

/** Whoever has the name must be this very sandbox, before anything is done to it. */
async function sameSandbox(maker: Maker, spec: SandboxSpec, container: Container, op: Op): Promise<Container> {
  let info: ContainerInfo;
  try {
    info = await container.inspect({ abortSignal: op.signal });
  } catch (thrown) {
    throw failure(maker, thrown, op);
  }
  const { generation, id } = refOf(info.Id, info.Config.Labels ?? {});
  if (id === spec.id && generation === spec.generation) return container;
  throw new SandboxerError("conflict", `container ${info.Id.slice(0, 12)} has the name of another generation of ${spec.id}`, {
    phase: "create",
  });
}

async function undo(maker: Maker, id: string, container: Container, { log }: Op): Promise<void> {
  try {
    const clock = AbortSignal.timeout(UNDO_WITHIN_MS);
    await remove(container, clock);
    await removeServices(maker.agents.docker, maker.instance, id, clock);
  } catch (cause) {
    log.warn({ container: container.id, error: String(cause) }, "a create could not be undone; the sweep will");
    throw new SandboxerError("ambiguous_create", "what the create made could not be removed", {
      phase: "create",
      backend: maker.agents.backend,
      cause,
    });
  }
}

function failure(maker: Maker, thrown: unknown, op: Op): SandboxerError {
  const told = engineFailure(thrown, { phase: "create", backend: maker.agents.backend }, op.signal);
  // Of a create, what is not there is the image.
  return told.code === "sandbox_not_found" ? new SandboxerError("backend_rejected", told.message, { phase: "create", backend: maker.agents.backend, cause: thrown }) : told; // prettier-ignore
}

/** A handle without the engine's own name, of a create whose answer never came, is found by the container's name. */
export function containerOf(maker: Maker, ref: Ref): Container {
  return maker.agents.docker.getContainer(ref.native === "" ? nameOf(maker.instance, ref.id) : ref.native);
}
