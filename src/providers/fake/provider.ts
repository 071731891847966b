import { setTimeout as sleep } from "node:timers/promises";
import { SandboxerError, meetsIsolation } from "../../contract/index.ts";
import type { Capability, Command, ExecOptions, OpenContext, Op, Provider, Ref, SandboxSpec, Traits } from "../../contract/index.ts";
import { FakeControl } from "./control.ts";
import { execIn } from "./exec.ts";
import { failure } from "./failure.ts";
import type { Operation, Strike } from "./faults.ts";
import { fakeFiles } from "./files.ts";
import type { FakeOptions } from "./options.ts";
import { FakeMeter } from "./meter.ts";
import { fakePorts } from "./ports.ts";
import { fakeProcesses } from "./processes.ts";
import { fakePause, fakeSuspend } from "./rest.ts";
import { CreateRate } from "./create-rate.ts";
import { FakeWorld } from "./world.ts";

const CAPABILITIES: readonly Capability[] = [
  "image.host", "resources.cpu_mem", "resources.disk", "resources.pids", "create.idempotent", "create.labels", "ttl.max", "net.block_all",
  "exec.stream", "exec.split_stderr", "exec.stdin", "exec.pty", "exec.background", "exec.reattach", "exec.user", "exec.timeout", "exec.cwd_env",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream", "metrics", "ports.http", "ports.dynamic", "ports.signed",
  "pause.memory", "pause.disk", "resume.auto",
]; // prettier-ignore

/** The provider that {@link openFake} gives: with the handle on its faults. */
export type FakeProvider = Provider & { readonly control: FakeControl };

/** Opens a fake backend. Its sandboxes live in this object's memory and end with `dispose` or with the process. */
export function openFake(options: FakeOptions, context: OpenContext): FakeProvider {
  const control = options.control ?? new FakeControl();
  const world = new FakeWorld(options.isolation, options.limits.concurrency_max ?? Infinity);
  const rate = new CreateRate(options.limits.create_rate_per_s ?? Infinity);
  control.attach(world);
  const { metering } = options;
  const meter =
    metering === undefined
      ? undefined
      : new FakeMeter({ error_percent: metering.error_percent, ...(metering.now === undefined ? {} : { now: metering.now }) });
  for (const fault of options.faults) control.addFault(fault);
  const has = (capability: Capability) => CAPABILITIES.includes(capability) && !options.without.includes(capability);

  const meet = async (on: Operation, op: Op): Promise<Strike> => {
    const latency = typeof options.latency_ms === "number" ? options.latency_ms : (options.latency_ms[on] ?? 0);
    try {
      op.signal.throwIfAborted();
      if (latency > 0) await sleep(latency, undefined, { signal: op.signal });
      const strike = await control.plan.meet(on, op.signal);
      op.signal.throwIfAborted();
      return strike;
    } catch (thrown) {
      throw failure(thrown, op.signal, { phase: on, backend: context.backend });
    }
  };
  const reach = (on: Operation) => async (ref: Ref, op: Op) => {
    const strike = await meet(on, op);
    if (strike.lose) world.vanish(ref.id);
    const sandbox = world.running(ref);
    // The groups' calls are many; what an answer lost after the fact means for each is left to `exec` and `destroy`.
    if (strike.afterwards !== undefined) throw strike.afterwards;
    return sandbox;
  };

  const reachAny = async (ref: Ref, op: Op) => {
    const strike = await meet("rest", op);
    if (strike.lose) world.vanish(ref.id);
    const sandbox = world.present(ref);
    if (strike.afterwards !== undefined) throw strike.afterwards;
    return sandbox;
  };

  return {
    control,
    traits: traitsOf(options, has),
    async create(spec: SandboxSpec, op: Op) {
      if (!meetsIsolation(options.isolation, spec.isolationMin))
        throw new SandboxerError("isolation_unavailable", `this backend claims ${options.isolation}, not ${spec.isolationMin}`, {
          phase: "create",
        });
      if (spec.egress !== undefined)
        throw new SandboxerError("capability_unsupported", "network.allow: this backend has no network, and pretends none", {
          phase: "create",
        });
      rate.count();
      const strike = await meet("create", op);
      const { created } = world.make(spec);
      meter?.began(spec);
      if (strike.lose) world.vanish(spec.id);
      if (strike.afterwards !== undefined) throw strike.afterwards;
      return created;
    },
    async *exec(ref: Ref, command: Command, execOptions: ExecOptions, op: Op) {
      refuseUnsupported(command, execOptions, has);
      const strike = await meet("exec", op);
      if (strike.lose) world.vanish(ref.id);
      const sandbox = world.running(ref);
      try {
        yield* execIn(sandbox, command, execOptions, op, strike.cut);
      } catch (thrown) {
        throw failure(thrown, op.signal, { phase: "exec", backend: context.backend });
      }
      if (strike.afterwards !== undefined) throw strike.afterwards;
    },
    async destroy(ref: Ref, op: Op) {
      const strike = await meet("destroy", op);
      if (strike.lose) world.vanish(ref.id);
      const answer = world.destroy(ref);
      meter?.ended(ref);
      if (strike.afterwards !== undefined) throw strike.afterwards;
      return answer;
    },
    async *list(op: Op) {
      const strike = await meet("list", op);
      if (strike.lose) world.clear();
      yield* world.refs();
      if (strike.afterwards !== undefined) throw strike.afterwards;
    },
    async inspect(ref: Ref, op: Op) {
      const strike = await meet("inspect", op);
      if (strike.lose) world.vanish(ref.id);
      if (strike.afterwards !== undefined) throw strike.afterwards;
      return world.find(ref)?.observe() ?? "absent";
    },
    ...(has("exec.background") ? { processes: fakeProcesses(reach("processes"), has("exec.pty")) } : {}),
    ...(has("fs.rw") ? { files: fakeFiles(reach("files"), has("fs.watch")) } : {}),
    ...(has("ports.http") ? { ports: fakePorts(reach("ports")) } : {}),
    ...(has("pause.memory") ? { pause: fakePause(reachAny) } : {}),
    ...(has("pause.disk") ? { suspend: fakeSuspend(reachAny) } : {}),
    ...(meter === undefined ? {} : { metered: async (ref) => meter.read(ref) }),
    abandonExec: () => Promise.resolve(),
    dispose: async () => world.clear(),
  };
}

function traitsOf(options: FakeOptions, has: (capability: Capability) => boolean): Traits {
  const { concurrency_max, fs_max_write_bytes, create_rate_per_s } = options.limits;
  return {
    isolation:
      options.unavailable === undefined
        ? [{ level: options.isolation, runtime: "fake", notes: ["In memory, for tests: it isolates nothing."] }]
        : [],
    capabilities: Object.fromEntries(
      [...CAPABILITIES.filter(has), ...(options.metering === undefined ? [] : ["usage.metered" as const])].map((capability) => [
        capability,
        "native",
      ]),
    ),
    limits: {
      ...(concurrency_max === undefined ? {} : { concurrency_max }),
      ...(fs_max_write_bytes === undefined ? {} : { fs_max_write_bytes }),
      ...(create_rate_per_s === undefined ? {} : { create_rate_per_s }),
    },
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.self_hosted === undefined ? {} : { selfHosted: options.self_hosted }),
    ...(options.unavailable === undefined ? {} : { unavailable: options.unavailable }),
  };
}

function refuseUnsupported(command: Command, options: ExecOptions, has: (capability: Capability) => boolean): void {
  const used: [Capability, boolean][] = [
    ["exec.stdin", options.stdin.kind !== "none"],
    ["exec.user", command.user !== undefined],
    ["exec.timeout", command.timeoutMs !== undefined],
    ["exec.cwd_env", command.cwd !== undefined || Object.keys(command.env ?? {}).length > 0],
  ];
  for (const [capability, uses] of used) {
    if (uses && !has(capability))
      throw new SandboxerError("capability_unsupported", `this backend has no ${capability}`, { phase: "exec" });
  }
}
