import { figure, interleaved, timed } from "../figures.ts";
import { beside, type Row } from "../row.ts";
import { type Stage, withBoth } from "../stage.ts";

/** One sandbox at a time: create and first exec, and its end. */
export async function lifecycle({ scale, signal }: Stage): Promise<Row[]> {
  // Twice what is taken: the server prepares more once half is gone, which is not to fall into the measurement.
  const disks = scale.creates * 2 + 2;
  return withBoth({ pool: disks, disks: scale.creates }, async (ours, raw) => {
    const samples = { ours: { create: [] as number[], first: [] as number[], end: [] as number[] }, raw: { create: [] as number[], first: [] as number[], end: [] as number[] } }; // prettier-ignore
    const oursOnce = async (): Promise<void> => {
      const create = await timed(() => ours.create());
      const exec = await timed(() => ours.exec(create.value));
      const end = await timed(() => ours.destroy(create.value));
      samples.ours.create.push(create.ms);
      samples.ours.first.push(create.ms + exec.ms);
      samples.ours.end.push(end.ms);
      await ours.server.quiet();
    };
    const rawOnce = async (): Promise<void> => {
      const sandbox = raw.prepare();
      const create = await timed(() => raw.create(sandbox));
      const exec = await timed(() => raw.exec(sandbox));
      const end = await timed(() => raw.destroy(sandbox));
      raw.discard(sandbox);
      samples.raw.create.push(create.ms);
      samples.raw.first.push(create.ms + exec.ms);
      samples.raw.end.push(end.ms);
    };
    await interleaved({ rounds: scale.creates, seconds: scale.seconds, signal }, oursOnce, rawOnce);
    const peer = (samples: readonly number[]) => ({ name: "raw", figure: figure(samples) });
    return [
      beside(
        { case: "lifecycle", what: "create + first exec", unit: "ms", ours: figure(samples.ours.first), peer: peer(samples.raw.first) },
        "at_most",
        1.3,
      ),
      { case: "lifecycle", what: "create", unit: "ms", ours: figure(samples.ours.create), peer: peer(samples.raw.create) },
      {
        case: "lifecycle",
        what: "teardown",
        unit: "ms",
        ours: figure(samples.ours.end),
        peer: peer(samples.raw.end),
        note: "raw: SIGKILL, wait, delete",
      },
    ];
  });
}
