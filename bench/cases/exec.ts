import { SandBoxer } from "../../src/sdk/index.ts";
import { figure, interleaved, timed } from "../figures.ts";
import { beside, type Row } from "../row.ts";
import { type Stage, withBoth } from "../stage.ts";

/** `true` in a sandbox that lives. */
export async function exec({ scale, signal }: Stage): Promise<Row[]> {
  return withBoth({}, async (ours, raw) => {
    const id = await ours.create();
    const byHand = raw.prepare();
    await raw.create(byHand);
    const { url, key } = ours.server.address;
    const sandbox = await new SandBoxer({ url, apiKey: key }).connect(id);
    const samples = { ours: [] as number[], raw: [] as number[], sdk: [] as number[] };
    await interleaved(
      { rounds: scale.execs, seconds: scale.seconds, signal },
      async () => void samples.ours.push((await timed(() => ours.exec(id))).ms),
      async () => void samples.raw.push((await timed(() => raw.exec(byHand))).ms),
      async () => void samples.sdk.push((await timed(async () => sandbox.exec(["true"]))).ms),
    );
    const peer = { name: "raw", figure: figure(samples.raw) };
    return [
      beside({ case: "exec", what: "exec true", unit: "ms", ours: figure(samples.ours), peer }, "at_most", 1.25),
      {
        case: "exec",
        what: "exec true, streamed, by the SDK",
        unit: "ms",
        ours: figure(samples.sdk),
        peer,
        note: "fetch and server-sent events on top",
      },
    ];
  });
}
