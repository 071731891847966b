import { type Figure, figure, interleaved, timed, withWorkers } from "../figures.ts";
import type { Ours } from "../ours.ts";
import type { Raw, RawSandbox } from "../raw.ts";
import type { Row } from "../row.ts";
import { type Scale, type Stage, withBoth } from "../stage.ts";

const FEW = 10;
const MOST_CREATES = 30;
const MEMORY_MIB = 150;
const RESTART_S = 2;
const GROWTH = 1.3;
const FILL_WORKERS = 4;

/** Many live at once: what a create costs then, what the server weighs, and how soon a new one has taken all of them over. */
export async function live(stage: Stage): Promise<Row[]> {
  const { scale, signal, say } = stage;
  // Prepared disks, and how many of them stand ready before a measurement that takes fewer.
  const ready = Math.min(MOST_CREATES, scale.creates) + 1;
  return withBoth({ pool: ready * 2 + 2, disks: ready }, async (ours, raw) => {
    const ids: string[] = [];
    const oursFew = await fillAndMeasure(stage, FEW, ids, () => ours.create(), (id) => ours.destroy(id), () => ours.server.quiet(ready)); // prettier-ignore
    const filling = await timed(() => withWorkers(scale.live - FEW, FILL_WORKERS, signal, async () => void ids.push(await ours.create())));
    say(`${ids.length} live after ${(filling.ms / 1000).toFixed(1)} s`);
    const oursMany = await fillAndMeasure(stage, scale.live, ids, () => ours.create(), (id) => ours.destroy(id), () => ours.server.quiet(ready)); // prettier-ignore
    const memory = ours.server.residentMiB;
    const restarts = await restart(ours, ids, scale);
    await withWorkers(ids.length, FILL_WORKERS, signal, (index) => ours.destroy(ids[index] ?? ""));
    say("the same by hand");
    const { few, many } = await rawGrowth(stage, raw);

    const growth = (a: Figure, b: Figure): Figure => ({ median: b.median / a.median, p95: b.p95 / a.p95, samples: b.samples });
    const [oursGrowth, rawGrowthFigure] = [growth(oursFew, oursMany), growth(few, many)];
    const peer = (figure: Figure) => ({ name: "raw", figure });
    return [
      { case: "live", what: `create with ${FEW} live`, unit: "ms", ours: oursFew, peer: peer(few) },
      { case: "live", what: `create with ${scale.live} live`, unit: "ms", ours: oursMany, peer: peer(many) },
      {
        case: "live", what: `create with ${scale.live} live over with ${FEW} live`, unit: "x", ours: oursGrowth, peer: peer(rawGrowthFigure),
        target: { value: oursGrowth.median / rawGrowthFigure.median, direction: "at_most", bound: GROWTH, of: "x raw's own growth" },
      },
      {
        case: "live", what: `server memory with ${scale.live} live`, unit: "MiB", ours: figure([memory]),
        target: { value: memory, direction: "at_most", bound: MEMORY_MIB, of: "MiB" }, note: "resident set of the server's process",
      },
      {
        case: "live", what: `restart after kill -9, ${scale.live} adopted`, unit: "s", ours: restarts,
        target: { value: restarts.median, direction: "at_most", bound: RESTART_S, of: "s" }, note: "from the spawn of serve until its health says that stock was taken",
      },
    ]; // prettier-ignore
  });
}

/** Makes live ones until there are `level`, then times creates one at a time, each ended again at once. */
async function fillAndMeasure<T>(
  { scale, signal }: Stage,
  level: number,
  live: T[],
  create: () => Promise<T>,
  destroy: (made: T) => Promise<void>,
  ready: () => Promise<void>,
): Promise<Figure> {
  await withWorkers(Math.max(0, level - live.length), FILL_WORKERS, signal, async () => void live.push(await create()));
  await ready();
  const samples: number[] = [];
  await interleaved({ rounds: Math.min(MOST_CREATES, scale.creates), seconds: scale.seconds, signal }, async () => {
    const { ms, value } = await timed(create);
    samples.push(ms);
    await destroy(value);
    await ready();
  });
  return figure(samples);
}

async function rawGrowth(stage: Stage, raw: Raw): Promise<{ few: Figure; many: Figure }> {
  const sandboxes: RawSandbox[] = [];
  const prepared: RawSandbox[] = [];
  // Preparing is not timed on either side: enough for one measurement stands ready before it.
  const ready = async (): Promise<void> => {
    while (prepared.length < Math.min(MOST_CREATES, stage.scale.creates) + 10) prepared.push(raw.prepare());
  };
  const create = async (): Promise<RawSandbox> => {
    const sandbox = prepared.pop() ?? raw.prepare();
    await raw.create(sandbox);
    return sandbox;
  };
  const destroy = async (sandbox: RawSandbox): Promise<void> => {
    await raw.destroy(sandbox);
    raw.discard(sandbox);
  };
  const few = await fillAndMeasure(stage, FEW, sandboxes, create, destroy, ready);
  const many = await fillAndMeasure(stage, stage.scale.live, sandboxes, create, destroy, ready);
  await withWorkers(sandboxes.length, FILL_WORKERS, stage.signal, async (index) => {
    const sandbox = sandboxes[index];
    if (sandbox !== undefined) await destroy(sandbox);
  });
  return { few, many };
}

/** Kills the server and starts it again; throws where not all are there, adopted and usable. */
async function restart(ours: Ours, ids: readonly string[], scale: Scale): Promise<Figure> {
  const seconds: number[] = [];
  for (let round = 0; round < scale.restarts; round++) {
    await ours.server.kill();
    seconds.push((await ours.server.start()) / 1000);
    if (ours.server.adopted !== ids.length) throw new Error(`${ours.server.adopted ?? "none"} of ${ids.length} were adopted`);
    const ready = await ours.countReady();
    if (ready !== ids.length) throw new Error(`${ready} of ${ids.length} are ready after the restart`);
    for (const id of [ids[0], ids.at(-1)]) await ours.exec(id ?? "");
  }
  return figure(seconds);
}
