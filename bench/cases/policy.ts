import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Ask, atLeast, egressFacts, preparePolicy, readRules } from "../../src/guard/index.ts";
import { figure } from "../figures.ts";
import { HttpClient } from "../http.ts";
import type { Row } from "../row.ts";
import { Server } from "../server.ts";
import type { Stage } from "../stage.ts";

const RATE = 200;
/** Seconds of one turn; both sides take turns, so that whatever drifts on the machine meets both. */
const TURN = 2;
/** Rules for tenants that are not asked about: a policy of a real size. */
const MORE_RULES = 40;
const DIRECT = 2000;

const examples = join(import.meta.dirname, "../../examples/policy");

function files(): { name: string; text: string }[] {
  const own = readdirSync(examples)
    .filter((name) => name.endsWith(".cedar"))
    .map((name) => ({ name, text: readFileSync(join(examples, name), "utf8") }));
  const more = Array.from(
    { length: MORE_RULES },
    (_, i) =>
      `@id("tenant-${i}") forbid (principal in Tenant::"tenant-${i}", action == Action::"sandbox.create", resource) unless { context.isolation_at_least.gvisor };`,
  );
  return [...own, { name: "tenants.cedar", text: more.join("\n") }];
}

/** Creates at a fixed rate, whether the answers come or not; each is timed from when it was due, so that a queue counts. */
async function turn(client: HttpClient, samples: number[], signal: AbortSignal): Promise<void> {
  const began = performance.now();
  const made: Promise<string>[] = [];
  for (let i = 0; i < RATE * TURN; i++) {
    const due = began + (i * 1000) / RATE;
    const wait = due - performance.now();
    if (wait > 0.5) await pause(wait, undefined, { signal });
    made.push(
      client.json<{ id: string }>("POST", "/v1/sandboxes", { metadata: { round: String(i) } }).then(({ id }) => {
        samples.push(performance.now() - due);
        return id;
      }),
    );
  }
  for (const id of await Promise.all(made)) await client.json("DELETE", `/v1/sandboxes/${id}`);
}

async function serve(): Promise<Server> {
  const server = new Server({ backends: [{ name: "fake", provider: "fake", options: { isolation: "container" } }] });
  await server.start();
  return server;
}

const at = (samples: readonly number[], share: number): number =>
  [...samples].sort((a, b) => a - b)[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? 0;

/** One question that was never asked before: no kept answer helps. */
function ask(i: number): Ask {
  return {
    who: { tenant: "globex", key_id: `ky${i}`, scopes: ["read", "write"], role: "agent" },
    action: "sandbox.create",
    resource: { type: "Profile", id: "python", attributes: { name: "python", version: 1, labels: [], shipped: true } },
    context: {
      isolation: "container", isolation_at_least: atLeast("container"), cpu_milli: 1000, memory_mib: 512, disk_mib: 2048, pids: 256, ttl: 1800, max_life: 28_800,
      image: "host", egress: egressFacts(null), ports: [], public_ports: [], secrets: [], setup: false, backends: ["local"], metadata: [`round=${i}`],
    },
  }; // prettier-ignore
}

async function direct(): Promise<number[]> {
  const policy = await preparePolicy(await readRules(files()));
  return Array.from({ length: DIRECT }, (_, i) => {
    const question = ask(i);
    const began = performance.now();
    policy.decide(question);
    return performance.now() - began;
  }).slice(DIRECT / 10);
}

/** What the policy adds to a create: two servers over backends in memory, one of them with {@link files} in force, at 200 creates a second. */
export async function policy({ scale, signal, say }: Stage): Promise<Row[]> {
  const alone = await direct();
  const [off, on] = [await serve(), await serve()];
  try {
    const operator = new HttpClient({ socket: join(on.data, "server.sock") });
    await operator.json("PUT", "/v1/policy", { files: files() });
    operator.close();
    const [without, with_]: [number[], number[]] = [[], []];
    for (const { client } of [off, on]) await turn(client, [], signal);
    const until = performance.now() + scale.seconds * 1000;
    for (let round = 0; round === 0 || performance.now() < until; round++)
      for (const [server, samples] of round % 2 === 0
        ? ([
            [off, without],
            [on, with_],
          ] as const)
        : ([
            [on, with_],
            [off, without],
          ] as const))
        // prettier-ignore
        await turn(server.client, samples, signal);
    say(`p99 ${at(with_, 0.99).toFixed(2)} ms with, ${at(without, 0.99).toFixed(2)} ms without`);
    const peer = { name: "no policy", figure: figure(without) };
    const added = (share: number, bound: number, of: string) => ({
      value: at(with_, share) - at(without, share),
      direction: "at_most" as const,
      bound,
      of,
    });
    const row = { case: "policy", unit: "ms" as const, ours: figure(with_), peer };
    return [
      { ...row, what: `create at ${RATE} a second, median`, target: added(0.5, 1, "ms more") },
      {
        ...row,
        what: `create at ${RATE} a second, p99`,
        target: added(0.99, 3, "ms more"),
        note: `p99 ${at(with_, 0.99).toFixed(2)} and ${at(without, 0.99).toFixed(2)} ms`,
      },
      {
        case: "policy",
        what: "one question that was not asked before",
        unit: "ms",
        ours: figure(alone),
        target: { value: figure(alone).median, direction: "at_most", bound: 0.3, of: "ms" },
      },
    ];
  } finally {
    await off.dispose();
    await on.dispose();
  }
}
