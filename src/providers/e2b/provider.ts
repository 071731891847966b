import { setTimeout as sleep } from "node:timers/promises";
import {
  SandboxerError,
  type Created,
  type Listed,
  type Observed,
  type OpenContext,
  type Op,
  type Provider,
  type Ref,
  type SandboxSpec,
} from "../../contract/index.ts";
import { shared } from "../shared/at-once.ts";
import { filesOverExec } from "../shared/files-over-exec.ts";
import { execOverCompanion } from "../shared/companion/exec.ts";
import { CompanionProcesses } from "../shared/companion/processes.ts";
import { E2bAgents } from "./agents.ts";
import { Control } from "./control.ts";
import { createSandbox, nativesOf, type Maker } from "./create.ts";
import { readKey } from "./key.ts";
import { refOf, selector } from "./labels.ts";
import { settingsOf, type E2bOptions } from "./options.ts";
import { loadSdk } from "./sdk.ts";
import { Pace } from "./pace.ts";
import { traitsOf } from "./traits.ts";

/** E2B's metrics are percentages of samples, which say nothing of what was used up. */
const NOT_METERED = { cpu_seconds: null, memory_bytes: null, memory_peak_bytes: null, disk_bytes: null, inodes: null, pids: null, oom_kills: null }; // prettier-ignore
/** For an abandoned command to be gone, in looks and their distance. */
const LOOKS = 40;
const LOOK_MS = 250;

/**
 * Opens E2B, or what speaks its wire. Asks nothing of it yet: a wrong key is told by the first call, and by each.
 *
 * @throws SandboxerError `provider_missing_dependency`, `backend_auth` without a key, `invalid_request`.
 */
export async function openE2b(options: E2bOptions, context: OpenContext): Promise<Provider> {
  const settings = settingsOf(options);
  const key = readKey(options);
  refuseStrayAddress(settings.sandboxUrl);
  const { backend, instance, failpoint } = context;
  const sdk = await loadSdk();
  const control = new Control(sdk, key, settings, backend);
  const agents = new E2bAgents(sdk, control, settings);
  const creating = new Map<string, Promise<Created>>();
  const maker: Maker = {
    control,
    settings,
    backend,
    instance,
    failpoint,
    pace: new Pace(settings.createRate, backend),
    made: (native, identity, user) => void agents.remember(native, identity, user),
  };
  const exec = execOverCompanion(agents);

  const create = (spec: SandboxSpec, op: Op): Promise<Created> => shared(creating, spec.id, () => createSandbox(maker, spec, op));

  /** Its names at E2B: of a create whose answer never came there is the label only. */
  async function named(ref: Ref, op: Op): Promise<string[]> {
    return ref.native === "" ? nativesOf(control, instance, ref, op.signal) : [ref.native];
  }

  async function destroy(ref: Ref, op: Op): Promise<"destroyed" | "absent"> {
    const natives = await named(ref, op);
    const answers = await Promise.all(
      natives.map((native) => {
        agents.forget(native);
        return control.kill(native, op.signal);
      }),
    );
    return answers.includes("destroyed") ? "destroyed" : "absent";
  }

  async function* list(op: Op): AsyncGenerator<Listed> {
    for await (const { sandboxID, metadata, state } of control.list(selector(instance), op.signal))
      yield { ...refOf(sandboxID, metadata), running: state === "running" };
  }

  async function inspect(ref: Ref, op: Op): Promise<Observed | "absent"> {
    const [native] = await named(ref, op);
    const info = native === undefined ? "absent" : await control.info(native, op.signal, "inspect");
    return info === "absent" ? "absent" : { state: info.state, usage: NOT_METERED };
  }

  async function abandonExec(ref: Ref, execId: string, op: Op): Promise<void> {
    const agent = await agents.of(ref, op, "exec");
    for (let look = 0; await agent.signal(execId, "SIGTERM", op.signal); look++) {
      if (look === LOOKS) throw new SandboxerError("backend_unavailable", `command ${execId} does not end`, { phase: "exec", backend });
      await sleep(LOOK_MS, undefined, { signal: op.signal });
    }
  }

  return {
    traits: traitsOf(settings),
    create,
    exec,
    destroy,
    list,
    inspect,
    abandonExec,
    files: filesOverExec({ exec, workdir: settings.workdir }),
    processes: new CompanionProcesses(agents),
  };
}

/** The SDK takes an address from the environment where none is given, and would send every account's commands there. */
function refuseStrayAddress(sandboxUrl: string | undefined): void {
  const stray = process.env["E2B_SANDBOX_URL"];
  if (sandboxUrl !== undefined || stray === undefined || stray === "") return;
  throw new SandboxerError("invalid_request", "E2B_SANDBOX_URL is set, and would lead this backend's commands to another address", {
    phase: "open",
    hint: "Unset it for this process, or set the option sandbox_url of the backend.",
  });
}
