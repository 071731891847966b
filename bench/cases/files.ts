import { feed } from "../http.ts";
import { figure, interleaved, timed } from "../figures.ts";
import { succeed } from "../raw.ts";
import { beside, type Row } from "../row.ts";
import { type Stage, withBoth } from "../stage.ts";

const MIB = 1024 ** 2;

/** Files in and out, beside `cat` in a raw exec in the same sandbox, so that both meet the same disk. */
export async function files({ scale, signal, say }: Stage): Promise<Row[]> {
  return withBoth({}, async (ours, raw) => {
    const largest = Math.max(...scale.fileSizes);
    const id = await ours.create({ resources: { disk: `${largest * 3}MiB` } });
    const target = (name: string): string => `/v1/sandboxes/${id}/files?path=/workspace/${name}`;
    const remove = async (name: string): Promise<void> => ours.exec(id, ["sh", "-c", `rm -f /workspace/${name}; sync`]);
    const rows: Row[] = [];
    for (const size of scale.fileSizes) {
      const bytes = size * MIB;
      const rates = { oursWrite: [] as number[], rawWrite: [] as number[], oursRead: [] as number[], rawRead: [] as number[] };
      const rate = (ms: number): number => size / (ms / 1000);
      const whole = (read: number): void => {
        if (read !== bytes) throw new Error(`${read} of ${bytes} bytes came back`);
      };
      const oursOnce = async (): Promise<void> => {
        rates.oursWrite.push(rate((await timed(() => ours.server.client.upload(target("ours"), bytes))).ms));
        const read = await timed(() => ours.server.client.download(target("ours")));
        whole(read.value);
        rates.oursRead.push(rate(read.ms));
        await remove("ours");
      };
      const rawOnce = async (): Promise<void> => {
        rates.rawWrite.push(rate((await timed(async () => {
          const child = raw.inside(ours.server.backend, id, ["sh", "-c", "cat > /workspace/raw"]);
          if (child.stdin !== null) void feed(child.stdin, bytes);
          await succeed(child, "cat > file");
        })).ms)); // prettier-ignore
        const read = await timed(async () => {
          const child = raw.inside(ours.server.backend, id, ["cat", "/workspace/raw"]);
          child.stdin?.end();
          let count = 0;
          child.stdout?.on("data", (chunk: Buffer) => (count += chunk.length));
          await succeed(child, "cat file");
          return count;
        });
        whole(read.value);
        rates.rawRead.push(rate(read.ms));
        await remove("raw");
      };
      await interleaved({ rounds: scale.fileRounds, seconds: scale.seconds, signal }, oursOnce, rawOnce);
      say(`files of ${size} MiB`);
      const row = (what: string, mine: number[], theirs: number[]): Row =>
        beside(
          {
            case: "files",
            what: `${what} a file of ${size} MiB`,
            unit: "MiB/s",
            ours: figure(mine),
            peer: { name: "raw", figure: figure(theirs) },
          },
          "at_least",
          0.5,
        );
      rows.push(row("write", rates.oursWrite, rates.rawWrite), row("read", rates.oursRead, rates.rawRead));
    }
    return rows;
  });
}
