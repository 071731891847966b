import { figure, timed, withWorkers } from "../figures.ts";
import { beside, type Row } from "../row.ts";
import { type Stage, withBoth } from "../stage.ts";

/** Many creates with their first execs at once, with as many workers on both sides; all must succeed. */
export async function burst({ scale, signal, say }: Stage): Promise<Row[]> {
  const { burst: jobs, workers } = scale;
  const rounds = 3;
  // Room for one burst and a little: what a burst takes is prepared again before the next.
  const disks = Math.ceil(jobs * 1.28);
  return withBoth({ pool: disks, disks }, async (ours, raw) => {
    const samples = { ours: [] as number[], raw: [] as number[] };
    const oursOnce = async (): Promise<void> => {
      await ours.server.prepared(disks, 60);
      const ids: string[] = [];
      samples.ours.push((await timed(() => withWorkers(jobs, workers, signal, async () => {
        const id = await ours.create();
        ids.push(id);
        await ours.exec(id);
      }))).ms); // prettier-ignore
      await withWorkers(ids.length, workers, signal, (index) => ours.destroy(ids[index] ?? ""));
    };
    const rawOnce = async (): Promise<void> => {
      const sandboxes = Array.from({ length: jobs }, () => raw.prepare());
      samples.raw.push((await timed(() => withWorkers(jobs, workers, signal, async (index) => {
        const sandbox = sandboxes[index];
        if (sandbox === undefined) return;
        await raw.create(sandbox);
        await raw.exec(sandbox);
      }))).ms); // prettier-ignore
      await withWorkers(jobs, workers, signal, async (index) => {
        const sandbox = sandboxes[index];
        if (sandbox === undefined) return;
        await raw.destroy(sandbox);
        raw.discard(sandbox);
      });
    };
    for (let round = 0; round < rounds; round++) {
      for (const contestant of round % 2 === 0 ? [oursOnce, rawOnce] : [rawOnce, oursOnce]) await contestant();
      say(`burst ${round + 1} of ${rounds}`);
    }
    const note = `${workers} workers on both sides; all succeeded; ${disks} disks prepared`;
    const peer = { name: "raw", figure: figure(samples.raw) };
    return [
      beside(
        { case: "burst", what: `burst of ${jobs} creates + first execs`, unit: "ms", ours: figure(samples.ours), peer, note },
        "at_most",
        1.3,
      ),
    ];
  });
}
