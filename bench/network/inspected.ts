import { figure, interleaved } from "../figures.ts";
import type { Row } from "../row.ts";
import { BoundaryProcess } from "./boundary-process.ts";
import { FAR, HTTP_PORT, TLS_PORT } from "./names.ts";
import { type Network, PROFILES } from "./open.ts";
import { sandboxed, type Way } from "./ways.ts";

const CONNECTIONS = 32;
const A_SECOND = 3000;

/** Small requests over kept-alive connections by wrk, each one read, decided and written down. The boundary is one process with one thread that does it. */
export async function inspected({ stage, server, direct }: Network): Promise<Row[]> {
  const { scale, signal, say } = stage;
  const sandbox = await sandboxed(server, PROFILES.inspected);
  const boundary = new BoundaryProcess(server);
  const rows: Row[] = [];
  for (const scheme of ["https", "http"] as const) {
    const [ours, alone, load]: [number[], number[], number[]] = [[], [], []];
    const run = (way: Way, host: string) =>
      way.run(["/usr/bin/wrk", "-t", "1", "-c", String(CONNECTIONS), "-d", `${scale.streamSeconds}s`, "--timeout", "10s", "-H", `Host: ${FAR}`, `${scheme}://${host}:${scheme === "https" ? TLS_PORT : HTTP_PORT}/small`]); // prettier-ignore
    await interleaved(
      { rounds: Math.max(2, scale.fileRounds), seconds: scale.seconds * 2, signal },
      async () => {
        const before = boundary.cpuSeconds;
        const began = performance.now();
        ours.push(rateOf(await run(sandbox, FAR)));
        load.push((boundary.cpuSeconds - before) / ((performance.now() - began) / 1000));
      },
      async () => void alone.push(rateOf(await run(direct, direct.address))),
    );
    say(`inspected ${scheme}`);
    const [rate, busy] = [figure(ours), figure(load).median];
    const perRequest = (busy * 1e6) / rate.median;
    const limit =
      busy > 0.9 ? "the boundary's one core is what limits it" : "the cores that client, server and boundary share are what limits it";
    rows.push({
      case: "network", what: `inspected requests, ${scheme}`, unit: "/s", ours: rate, peer: { name: "direct", figure: figure(alone) },
      target: { value: rate.median, direction: "at_least", bound: A_SECOND, of: "a second" },
      note: `wrk with ${CONNECTIONS} kept-alive connections; the boundary used ${busy.toFixed(2)} of a core, ${perRequest.toFixed(0)} µs a request, so a whole core carries some ${(1e6 / perRequest).toFixed(0)} a second: ${limit}`,
    }); // prettier-ignore
  }
  await server.client.json("DELETE", `/v1/sandboxes/${sandbox.id}`);
  return rows;
}

/** Throws where any request failed: refusals are quick. */
function rateOf(text: string): number {
  const [, rate] = /Requests\/sec:\s+([\d.]+)/.exec(text) ?? [];
  if (rate === undefined || Number(rate) === 0 || /Non-2xx|Socket errors/.test(text)) throw new Error(`wrk says:\n${text}`);
  return Number(rate);
}
