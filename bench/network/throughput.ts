import { figure, interleaved } from "../figures.ts";
import { beside, type Row } from "../row.ts";
import { BoundaryProcess } from "./boundary-process.ts";
import { FILE_MIB } from "./far.ts";
import { FAR, TLS_PORT } from "./names.ts";
import { type Network, PROFILES } from "./open.ts";
import { sandboxed, type Way } from "./ways.ts";

const OF_DIRECT = 0.6;

/** One TLS download by curl, from nginx: in a sandbox, in a namespace alone, and from there through each peer. */
export async function throughput({ stage, server, direct, peers }: Network): Promise<Row[]> {
  const { scale, signal, say } = stage;
  const sandbox = await sandboxed(server, PROFILES.through);
  const boundary = new BoundaryProcess(server);
  const cost: number[] = [];
  const rates = { ours: [] as number[], direct: [] as number[] };
  const peerRates = new Map<string, number[]>(peers.map(({ name }) => [name, []]));
  const download = async (way: Way, into: number[], ...more: readonly string[]): Promise<void> => {
    const text = await way.run(["/usr/bin/curl", "-sS", "-k", "--fail", "-o", "/dev/null", "-w", "%{size_download} %{time_total} %{time_appconnect}", ...more, `https://${FAR}/file`]); // prettier-ignore
    const [size = 0, total = 0, connected = 0] = text.split(" ").map(Number);
    if (size !== FILE_MIB * 1024 ** 2) throw new Error(`${size} bytes came`);
    into.push(FILE_MIB / (total - connected));
  };
  await interleaved(
    { rounds: scale.fileRounds * 3, seconds: scale.seconds * 2, signal },
    async () => {
      const before = boundary.cpuSeconds;
      await download(sandbox, rates.ours);
      cost.push(((boundary.cpuSeconds - before) * 1000) / FILE_MIB);
    },
    () => download(direct, rates.direct, "--connect-to", `${FAR}:${TLS_PORT}:${direct.address}:${TLS_PORT}`),
    ...peers.map(
      ({ name, curl }) =>
        () =>
          download(direct, peerRates.get(name) ?? [], ...curl),
    ),
  );
  say("throughput");
  await server.client.json("DELETE", `/v1/sandboxes/${sandbox.id}`);
  const ours = figure(rates.ours);
  const what = `TLS download of ${FILE_MIB} MiB, passthrough`;
  const note = `curl and nginx; one connection; after the handshake; direct: a namespace and a veth pair alone; the boundary took ${figure(cost).median.toFixed(2)} ms of processor time a MiB`;
  return [
    beside({ case: "network", what, unit: "MiB/s", ours, peer: { name: "direct", figure: figure(rates.direct) }, note }, "at_least", OF_DIRECT),
    ...[...peerRates].map(([name, samples]) =>
      beside({ case: "network", what, unit: "MiB/s", ours, peer: { name, figure: figure(samples) } }, "at_least", 1),
    ),
  ]; // prettier-ignore
}
