import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { dependenciesOf, type Op, orderOf, SandboxerError, type SandboxSpec, type Service, type Services } from "../../contract/index.ts";
import { hardening } from "./container.ts";
import { engineFailure, statusOf } from "./failure.ts";
import type { Images } from "./image.ts";
import { start } from "./start.ts";
import { labelsOf, nameOf, serviceLabels } from "./labels.ts";
import { demultiplexed } from "./multiplexed.ts";
import type { Container, ContainerInfo, Docker } from "./sdk.ts";

const LOOK_MS = 100;
const NS_PER_S = 1e9;
/** What a service may write to its log before the oldest is dropped: twice this. */
const LOG_BYTES = "5m";

export interface ServiceMaker {
  readonly docker: Docker;
  readonly images: Images;
  readonly instance: string;
  readonly backend: string;
  readonly failpoint: (name: string) => void;
}

/** Names in the sandbox's own /etc/hosts: services share its network, and so are all at its loopback. */
export function serviceHosts(services: Services | undefined): string[] {
  return Object.keys(services ?? {}).map((name) => `${name}:127.0.0.1`);
}

/**
 * Starts the services beside a sandbox, each after what it depends on, and waits until those with a health check are healthy. They are in
 * the network and the process namespace of its first container, so they reach nothing else and end when it ends, whoever watches.
 *
 * @throws SandboxerError `backend_rejected` with its last words where one does not come up.
 */
export async function startServices(maker: ServiceMaker, spec: SandboxSpec, main: ContainerInfo, op: Op): Promise<void> {
  const services = spec.services ?? {};
  const started = new Map<string, Container>();
  await makeVolumes(maker, spec, services, op);
  for (const name of orderOf(services) ?? []) {
    const service = services[name] as Service;
    for (const needed of dependenciesOf(service)) {
      const container = started.get(needed.name);
      if (needed.healthy && container !== undefined) await untilHealthy(maker, needed.name, container, op);
    }
    op.log.info({ sandbox: spec.id, service: name }, "a service is started");
    started.set(name, await startService(maker, spec, main, name, service, op));
  }
  for (const [name, container] of started) await untilHealthy(maker, name, container, op);
}

async function makeVolumes({ docker, instance, backend }: ServiceMaker, spec: SandboxSpec, services: Services, op: Op): Promise<void> {
  const names = new Set(Object.values(services).flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(":")[0] ?? "")));
  for (const name of names) {
    try {
      await docker.createVolume({
        Name: `${nameOf(instance, spec.id)}-${name}`,
        Labels: labelsOf(spec, instance, ""),
        abortSignal: op.signal,
      });
    } catch (thrown) {
      throw engineFailure(thrown, { phase: "create", backend }, op.signal);
    }
  }
}

async function startService(
  maker: ServiceMaker,
  spec: SandboxSpec,
  main: ContainerInfo,
  name: string,
  service: Service,
  op: Op,
): Promise<Container> {
  const image = await maker.images.present(service.image, op);
  const where = { phase: `services.${name}`, backend: maker.backend };
  const config = serviceConfig(maker, spec, main, name, service, image.Id);
  let container: Container;
  try {
    container = await maker.docker.createContainer({ ...config, abortSignal: op.signal });
    maker.failpoint("docker.create.service");
  } catch (thrown) {
    // The name is taken by an earlier try of this very create.
    if (statusOf(thrown) !== 409) throw engineFailure(thrown, where, op.signal);
    container = maker.docker.getContainer(`${nameOf(maker.instance, spec.id)}-${name}`);
  }
  await start(container, where, op);
  return container;
}

const words = (value: string | readonly string[] | undefined): readonly string[] | undefined =>
  value === undefined ? undefined : typeof value === "string" ? ["/bin/sh", "-c", value] : value;

function serviceConfig(maker: ServiceMaker, spec: SandboxSpec, main: ContainerInfo, name: string, service: Service, image: string): object {
  const project = nameOf(maker.instance, spec.id);
  const [command, entrypoint] = [words(service.command), words(service.entrypoint)];
  const { resources } = spec;
  const limited: SandboxSpec = {
    ...spec,
    resources: {
      ...resources,
      cpu: Math.min(service.cpus ?? Infinity, resources.cpu),
      memoryBytes: Math.min(service.mem_limit ?? Infinity, resources.memoryBytes),
      pids: Math.min(service.pids_limit ?? Infinity, resources.pids),
    },
  };
  const tmpfs = typeof service.tmpfs === "string" ? [service.tmpfs] : (service.tmpfs ?? []);
  const { test, interval, timeout, retries, start_period: grace } = service.healthcheck ?? {};
  return {
    name: `${project}-${name}`,
    Image: image,
    Labels: { ...labelsOf(spec, maker.instance, ""), ...serviceLabels(project, name) },
    ...(service.user === undefined ? {} : { User: service.user }),
    ...(service.working_dir === undefined ? {} : { WorkingDir: service.working_dir }),
    ...(command === undefined ? {} : { Cmd: command }),
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    Env: Object.entries(service.environment ?? {}).map(([key, value]) => `${key}=${value}`),
    ...(test === undefined
      ? {}
      : {
          Healthcheck: {
            Test: typeof test === "string" ? ["CMD-SHELL", test] : test,
            Interval: (interval ?? 1) * NS_PER_S,
            Timeout: (timeout ?? 5) * NS_PER_S,
            Retries: retries ?? 30,
            StartPeriod: (grace ?? 0) * NS_PER_S,
          },
        }),
    HostConfig: {
      ...hardening(limited),
      // The sandbox's own: nothing else can be reached, and the end of its first process ends these.
      NetworkMode: `container:${main.Id}`,
      PidMode: `container:${main.Id}`,
      CapAdd: service.cap_add ?? [],
      ShmSize: service.shm_size ?? 64 * 1024 ** 2,
      Tmpfs: Object.fromEntries(tmpfs.map((path) => [path, "rw,nosuid,nodev,size=256m"])),
      Mounts: (service.volumes ?? []).map((volume) => {
        const [source = "", target = "", mode] = volume.split(":");
        return { Type: "volume", Source: `${project}-${source}`, Target: target, ReadOnly: mode === "ro" };
      }),
      LogConfig: { Type: "json-file", Config: { "max-size": LOG_BYTES, "max-file": "2" } },
    },
  };
}

async function untilHealthy(maker: ServiceMaker, name: string, container: Container, op: Op): Promise<void> {
  const where = { phase: `services.${name}`, backend: maker.backend };
  for (;;) {
    let info: ContainerInfo;
    try {
      info = await container.inspect({ abortSignal: op.signal });
    } catch (thrown) {
      throw engineFailure(thrown, where, op.signal);
    }
    const health = info.State.Health?.Status ?? "none";
    if (info.State.Running && (health === "healthy" || health === "none")) return;
    if (health === "unhealthy" || (!info.State.Running && info.State.Status !== "created")) {
      const how = info.State.Running ? "is unhealthy" : `ended with ${info.State.ExitCode}`;
      throw new SandboxerError("backend_rejected", `service ${name} ${how}: ${await lastWords(container, op)}`, where);
    }
    await sleep(LOOK_MS, undefined, { signal: op.signal });
  }
}

async function lastWords(container: Container, op: Op): Promise<string> {
  try {
    const told = await container.logs({ stdout: true, stderr: true, tail: 10, follow: false, abortSignal: op.signal });
    let text = "";
    for await (const event of demultiplexed(Buffer.isBuffer(told) ? Readable.from([told]) : told))
      if ("data" in event) text += Buffer.from(event.data).toString("utf8");
    return text.trim().slice(-500);
  } catch (thrown) {
    return `its log cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
}
