import { spawn } from "node:child_process";
import { figure, interleaved, timed } from "../figures.ts";
import { succeed } from "../raw.ts";
import type { Row } from "../row.ts";
import { PROGRAM, Server } from "../server.ts";
import { type Stage, withBoth } from "../stage.ts";

const OVER_RAW_MS = 150;

/** `sand-boxer run -- true` with an engine in its own process, start of Node and all, beside create, exec and end by hand. */
export async function command({ scale, signal }: Stage): Promise<Row[]> {
  return withBoth({}, async (_, raw) => {
    // A directory with everything in place but no server: the command opens its engine itself.
    const home = new Server();
    try {
      await home.start();
      await home.stop();
      const samples = { ours: [] as number[], raw: [] as number[] };
      const oursOnce = async (): Promise<void> => {
        const run = () => succeed(spawn(PROGRAM, ["run", "--", "true"], { stdio: ["ignore", "inherit", "inherit"], env: { ...withoutServer(), SANDBOXER_DATA: home.data } }), "sand-boxer run"); // prettier-ignore
        samples.ours.push((await timed(run)).ms);
      };
      const rawOnce = async (): Promise<void> => {
        const sandbox = raw.prepare();
        const { ms } = await timed(async () => {
          await raw.create(sandbox);
          await raw.exec(sandbox);
          await raw.destroy(sandbox);
        });
        raw.discard(sandbox);
        samples.raw.push(ms);
      };
      await oursOnce();
      samples.ours.pop();
      await interleaved({ rounds: scale.commands, seconds: scale.seconds, signal }, oursOnce, rawOnce);
      const [ours, byHand] = [figure(samples.ours), figure(samples.raw)];
      return [
        {
          case: "command", what: "sand-boxer run -- true, own process", unit: "ms", ours, peer: { name: "raw", figure: byHand },
          target: { value: ours.median - byHand.median, direction: "at_most", bound: OVER_RAW_MS, of: "ms over raw" },
        },
      ]; // prettier-ignore
    } finally {
      await home.dispose();
    }
  });
}

function withoutServer(): NodeJS.ProcessEnv {
  const { SANDBOXER_URL: _url, SANDBOXER_API_KEY: _key, ...rest } = process.env;
  return rest;
}
