import { setTimeout as sleep } from "node:timers/promises";
import { SandboxerError, meetsIsolation, type Created, type Op, type Ref, type SandboxSpec } from "../../contract/index.ts";
import { throwIfAborted, whyAborted } from "../shared/abort.ts";
import type { Control, Identity } from "./control.ts";
import { networkFailure, wasNeverSent } from "./failure.ts";
import { labelsOf, selector } from "./labels.ts";
import type { Settings } from "./options.ts";
import type { Pace } from "./pace.ts";

/** For looking after a create whose answer is missing, in all; the engine waits 10 s for what was aborted. */
const LOOK_WITHIN_MS = 8000;
const LOOKS = 3;

export interface Maker {
  readonly control: Control;
  readonly settings: Settings;
  readonly backend: string;
  readonly instance: string;
  readonly failpoint: (name: string) => void;
  readonly pace: Pace;
  /** Told of what was made, with what its agent is reached by. */
  readonly made: (native: string, identity: Identity, user: string | undefined) => void;
}

/**
 * Makes one sandbox. E2B has no idempotency, so the labels are looked for before; and after a request whose answer is missing, where
 * finding it is the answer. What stays unknown is `ambiguous_create`. One list call and one create.
 *
 * @throws SandboxerError `isolation_unavailable`, `capability_unsupported`, `backend_*`, `ambiguous_create`, `canceled`.
 */
export async function createSandbox(maker: Maker, spec: SandboxSpec, op: Op): Promise<Created> {
  check(maker, spec);
  throwIfAborted(op.signal);
  const existing = await find(maker, spec.id, op.signal);
  const native = existing ?? (await send(maker, spec, op));
  if (!op.signal.aborted) return created(maker, spec, native);
  await undo(maker, native, op);
  throw whyAborted(op.signal);
}

/** What E2B would not do is refused before anything is made. */
function check({ settings, backend }: Maker, spec: SandboxSpec): void {
  const details = { phase: "create", backend };
  if (!meetsIsolation(settings.isolation, spec.isolationMin))
    throw new SandboxerError("isolation_unavailable", `isolation here is ${settings.isolation} (${settings.isolationNote}), below ${spec.isolationMin}`, details); // prettier-ignore
  if (spec.image !== "host")
    throw new SandboxerError("capability_unsupported", "image: this backend makes every sandbox from its template", details);
  if (spec.egress !== undefined)
    throw new SandboxerError("capability_unsupported", "network: this backend has no egress through our boundary", details);
  const seconds = Math.floor((spec.maxLifeAt - Date.now()) / 1000);
  if (seconds > settings.maxSeconds)
    throw new SandboxerError("capability_unsupported", `max_life: ${seconds} s are left, and the plan's sandboxes live for ${settings.maxSeconds} s at most`, details); // prettier-ignore
  if (seconds < 1) throw new SandboxerError("timeout", "max_life is over before the sandbox could be made", details);
}

function created({ settings }: Maker, spec: SandboxSpec, native: string): Created {
  const { id, tenant, generation, maxLifeAt } = spec;
  const size = `CPU, memory and disk are those of the template "${settings.template}": what is asked for is not applied`;
  return {
    ref: { id, tenant, generation, native, maxLifeAt },
    isolation: { level: settings.isolation, runtime: "e2b", notes: [settings.isolationNote, size] },
  };
}

async function send(maker: Maker, spec: SandboxSpec, op: Op): Promise<string> {
  const { control, settings } = maker;
  await maker.pace.turn(op);
  const body = {
    templateID: settings.template,
    // E2B ends it then by itself. Whole seconds, never later than max_life.
    timeout: Math.max(1, Math.floor((spec.maxLifeAt - Date.now()) / 1000)),
    autoPause: false,
    allow_internet_access: false,
    network: { allowPublicTraffic: false },
    metadata: labelsOf(spec, maker.instance),
    envVars: { ...spec.env },
  };
  maker.failpoint("e2b.create.before");
  let identity: Identity;
  try {
    identity = await control.create(body, op.signal);
  } catch (thrown) {
    return await recover(maker, spec, thrown, op);
  }
  maker.failpoint("e2b.create.after");
  maker.made(identity.sandboxID, identity, spec.user);
  return identity.sandboxID;
}

/** After a create without a good answer: its sandbox where it was made all the same, else why there is none. */
async function recover(maker: Maker, spec: SandboxSpec, thrown: unknown, { signal, log }: Op): Promise<string> {
  const details = { phase: "create", backend: maker.backend };
  const failure = signal.aborted ? whyAborted(signal) : networkFailure(thrown, details);
  const answered = thrown instanceof SandboxerError;
  // Refused, or not even asked: nothing was made.
  if ((answered && failure.code !== "backend_unavailable") || wasNeverSent(thrown)) throw failure;
  const ambiguous = (message: string, cause: unknown): SandboxerError =>
    new SandboxerError("ambiguous_create", `${failure.message}; ${message}`, { ...details, cause });
  // The request may still be at work there: a list that does not show it says little until some time has passed.
  const looking = AbortSignal.timeout(LOOK_WITHIN_MS);
  try {
    for (let look = 0; look < LOOKS; look++) {
      if (look > 0) await sleep(500 * look, undefined, { signal: looking });
      const found = await find(maker, spec.id, looking);
      if (found !== undefined) return found;
    }
  } catch (cause) {
    log.warn({ sandbox: spec.id, error: String(cause) }, "it could not be looked up whether a create at E2B made a sandbox");
    throw ambiguous("whether it made a sandbox could not be looked up", cause);
  }
  // What was answered is over, and nothing is there.
  if (answered) throw failure;
  throw ambiguous("its request may still make a sandbox", thrown);
}

/** The sandbox with that label. Of several, which two processes at once could make, the first, and the others are ended. */
async function find({ control, instance }: Maker, id: string, signal: AbortSignal): Promise<string | undefined> {
  const found: { native: string; at: number }[] = [];
  for await (const { sandboxID, startedAt } of control.list(selector(instance, id), signal, "create"))
    found.push({ native: sandboxID, at: Date.parse(startedAt) });
  found.sort((a, b) => a.at - b.at || (a.native < b.native ? -1 : 1));
  for (const { native } of found.slice(1)) await control.kill(native, signal);
  return found[0]?.native;
}

async function undo({ control, backend }: Maker, native: string, { log }: Op): Promise<void> {
  try {
    await control.kill(native, AbortSignal.timeout(LOOK_WITHIN_MS));
  } catch (cause) {
    log.warn({ native, error: String(cause) }, "an aborted create at E2B could not be undone; the sweep will");
    throw new SandboxerError("ambiguous_create", "the create was aborted, and what it made could not be ended", { phase: "create", backend, cause }); // prettier-ignore
  }
}

/** Everything that bears the id's label, for whoever has no native name. */
export async function nativesOf(control: Control, instance: string, { id }: Ref, signal: AbortSignal): Promise<string[]> {
  const natives: string[] = [];
  for await (const { sandboxID } of control.list(selector(instance, id), signal, "destroy")) natives.push(sandboxID);
  return natives;
}
