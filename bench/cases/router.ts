import { setTimeout as pause } from "node:timers/promises";
import { newId, type Provider } from "../../src/contract/index.ts";
import { openRemoteFake } from "../../src/providers/fake/remote/client.ts";
import { figure, interleaved, timed } from "../figures.ts";
import { withRemote } from "../router/remote.ts";
import { percentile, steadily } from "../router/steady.ts";
import { type Row } from "../row.ts";
import { Server } from "../server.ts";
import type { Stage } from "../stage.ts";

const OVER_MEDIAN_MS = 1;
const OVER_P99_MS = 3;
const OVER_EXEC_MS = 1;
const ROUNDS = 6;
/** A create of 5 ms whose median is beyond this waits for others. */
const PILED_UP_MS = 40;

/** A backend with nothing to do, so that what is measured is what stands before it. */
const fake = (name: string, more: object = {}): object => ({
  name,
  provider: "fake",
  options: { isolation: "container", latency_ms: { create: 5 } },
  ...more,
});

/** What a server with everything is given beside its backends: other rooms' switches (policy, budgets) go here. */
export const EVERYTHING: object = { floor: { routing: { max_price_per_hour: 1 } }, routing: { max_queue_wait: "2s" } };

const CHOICE = {
  routing: { sort: "cold_start", max_price_per_hour: 0.5, max_total_cost: 5, data_residency: "eu", duty_cycle: 0.2, preferred_max_cold_start: { p50: 500 } },
}; // prettier-ignore

/** What routing costs: a create among several backends beside one with a single backend, and an exec at a backend behind HTTP beside its own. */
export async function router(stage: Stage): Promise<Row[]> {
  return [...(await creates(stage)), await execs(stage)];
}

async function creates({ scale, signal, say }: Stage): Promise<Row[]> {
  const price = { vcpu_hour: 0.05, gb_hour: 0.016 };
  const many = ["a", "b", "c", "d", "e"].map((name, index) =>
    fake(name, { region: index === 4 ? "us" : "eu-west-1", create_rate_per_s: 10_000, price: { ...price, vcpu_hour: 0.05 + index / 100 } }),
  );
  const [routed, plain] = [new Server({ backends: many, config: EVERYTHING }), new Server({ backends: [fake("only")] })];
  try {
    await routed.start();
    await plain.start();
    const samples = { routed: [] as number[], plain: [] as number[] };
    const { rateSeconds } = scale;
    const perSecond = await sustained(scale.rate, (rate) => steadily(plain.client, {}, { perSecond: rate, seconds: 2, signal }));
    const load = { perSecond, seconds: rateSeconds / ROUNDS, signal };
    const rounds = { rounds: ROUNDS, seconds: Infinity, signal };
    const side = (name: "routed" | "plain", server: Server, body: object) => async () => {
      samples[name].push(...(await steadily(server.client, body, load)));
      await pause(200);
    };
    // What a server loads and compiles with its first creates is not what a create costs; the other one has had its.
    await steadily(routed.client, CHOICE, { ...load, seconds: 2 });
    await interleaved(rounds, side("routed", routed, CHOICE), side("plain", plain, {}));
    say(`creates at ${perSecond} a second`);
    const [ours, peer] = [figure(samples.routed), { name: "one backend", figure: figure(samples.plain) }];
    const [tail, plainTail] = [percentile(samples.routed, 0.99), percentile(samples.plain, 0.99)];
    const note = perSecond === scale.rate ? {} : { note: `this machine does not keep up with ${scale.rate} a second now` };
    const single = (median: number) => ({ median, p95: median, samples: samples.routed.length });
    return [
      {
        case: "router", what: `create among five backends, every routing field, ${perSecond} a second`, unit: "ms", ours, peer, ...note,
        target: { value: ours.median - peer.figure.median, direction: "at_most", bound: OVER_MEDIAN_MS, of: "ms over one backend" },
      },
      {
        case: "router", what: `the same, p99`, unit: "ms", ours: single(tail), peer: { name: "one backend", figure: single(plainTail) }, ...note,
        target: { value: tail - plainTail, direction: "at_most", bound: OVER_P99_MS, of: "ms over one backend" },
      },
    ]; // prettier-ignore
  } finally {
    await routed.dispose();
    await plain.dispose();
  }
}

/** The highest rate, halved from the one that is wanted, at which creates do not pile up: beyond it a wait says nothing about what a create costs. */
async function sustained(wanted: number, at: (rate: number) => Promise<number[]>): Promise<number> {
  await at(Math.min(wanted, 20));
  let rate = wanted;
  while (rate > 10 && percentile(await at(rate), 0.5) > PILED_UP_MS) rate = Math.floor(rate / 2);
  return rate;
}

async function execs({ scale, signal }: Stage): Promise<Row> {
  return withRemote(async (url) => {
    const server = new Server({
      backends: [{ name: "remote", provider: "fake", options: { remote: url }, price: { vcpu_hour: 0.05, gb_hour: 0.016 } }],
      config: EVERYTHING,
    });
    const direct = await openRemoteFake(url, { backend: "direct" });
    try {
      await server.start();
      const { id } = await server.client.json<{ id: string }>("POST", "/v1/sandboxes", {});
      const samples = { ours: [] as number[], direct: [] as number[] };
      const ours = async () => void samples.ours.push((await timed(() => server.client.json("POST", `/v1/sandboxes/${id}/exec`, { argv: ["true"] }))).ms); // prettier-ignore
      const bare = async () => void samples.direct.push((await timed(() => execOnce(direct, id))).ms);
      for (let warm = 0; warm < Math.min(200, scale.execs); warm++) {
        await ours();
        await bare();
      }
      for (const list of Object.values(samples)) list.length = 0;
      await interleaved({ rounds: scale.execs * 5, seconds: scale.seconds, signal }, ours, bare);
      const [mine, peer] = [figure(samples.ours), { name: "its own HTTP", figure: figure(samples.direct) }];
      return {
        case: "router", what: "exec at a backend behind HTTP", unit: "ms", ours: mine, peer,
        target: { value: mine.median - peer.figure.median, direction: "at_most", bound: OVER_EXEC_MS, of: "ms over its own HTTP" },
      }; // prettier-ignore
    } finally {
      await direct.dispose?.();
      await server.dispose();
    }
  });
}

async function execOnce(provider: Provider, id: string): Promise<void> {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const op = { signal: new AbortController().signal, log };
  const command = { id: newId("exec"), run: { argv: ["true"] } };
  for await (const event of provider.exec(
    { id, tenant: "default", generation: 1, native: id, maxLifeAt: Infinity },
    command,
    { stdin: { kind: "none" }, maxOutputBytes: 1 << 20 },
    op,
  )) {
    if (event.type === "exited" && event.exitCode !== 0) throw new Error(`the command ended with ${event.exitCode}`);
  }
}
