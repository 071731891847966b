import { figure, interleaved } from "../figures.ts";
import type { Row } from "../row.ts";
import { FAR, TLS_PORT } from "./names.ts";
import { type Network, PROFILES } from "./open.ts";
import { measureIn, sandboxed, type Way } from "./ways.ts";

const OPEN = 1000;
const ADDED_MS = 2;

/** From connect(2) to the first byte of the server's half of the handshake, with a thousand others open that all still answer afterwards. */
export async function latency({ stage, server, direct }: Network): Promise<Row[]> {
  const { scale, signal, say } = stage;
  const sandbox = await sandboxed(server, PROFILES.through);
  const samples = { ours: [] as number[], direct: [] as number[] };
  const connect = async (way: Way, into: number[]): Promise<void> => {
    const { ms, alive } = await measureIn<{ ms: number[]; alive: number }>(way, "latency", FAR, TLS_PORT, OPEN, scale.execs);
    if (alive !== OPEN) throw new Error(`${alive} of ${OPEN} connections were still open`);
    into.push(...ms);
  };
  await interleaved(
    { rounds: scale.fileRounds, seconds: scale.seconds, signal },
    () => connect(sandbox, samples.ours),
    () => connect(direct, samples.direct),
  );
  say("latency");
  await server.client.json("DELETE", `/v1/sandboxes/${sandbox.id}`);
  const [ours, alone] = [figure(samples.ours), figure(samples.direct)];
  return [
    {
      case: "network", what: `connect to first byte, ${OPEN} connections open`, unit: "ms", ours, peer: { name: "direct", figure: alone },
      target: { value: ours.median - alone.median, direction: "at_most", bound: ADDED_MS, of: "ms over direct" },
      note: "to the first byte of the ServerHello; the client is Python's",
    },
  ]; // prettier-ignore
}
