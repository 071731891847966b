import { setTimeout as pause } from "node:timers/promises";
import { figure, interleaved, timed } from "../figures.ts";
import type { Row } from "../row.ts";
import { type Stage, withBoth } from "../stage.ts";

const PAUSE_MS = 300;

/** The same after a pause each: the kernel makes the first move into a control group after idle wait for it. */
export async function idle({ scale, signal }: Stage): Promise<Row[]> {
  return withBoth({ pool: scale.idleRounds * 2 + 2, disks: scale.idleRounds }, async (ours, raw) => {
    const samples = { ours: { create: [] as number[], exec: [] as number[] }, raw: { create: [] as number[], exec: [] as number[] } };
    const oursOnce = async (): Promise<void> => {
      await pause(PAUSE_MS);
      const { ms, value } = await timed(() => ours.create());
      samples.ours.create.push(ms);
      await pause(PAUSE_MS);
      samples.ours.exec.push((await timed(() => ours.exec(value))).ms);
      await ours.destroy(value);
      await ours.server.quiet();
    };
    const rawOnce = async (): Promise<void> => {
      const sandbox = raw.prepare();
      await pause(PAUSE_MS);
      samples.raw.create.push((await timed(() => raw.create(sandbox))).ms);
      await pause(PAUSE_MS);
      samples.raw.exec.push((await timed(() => raw.exec(sandbox))).ms);
      await raw.destroy(sandbox);
      raw.discard(sandbox);
    };
    await interleaved({ rounds: scale.idleRounds, seconds: scale.seconds, signal }, oursOnce, rawOnce);
    const row = (verb: "create" | "exec"): Row => ({
      case: "idle", what: `${verb} after ${PAUSE_MS} ms of idle`, unit: "ms", ours: figure(samples.ours[verb]), peer: { name: "raw", figure: figure(samples.raw[verb]) },
    }); // prettier-ignore
    return [row("create"), row("exec")];
  });
}
