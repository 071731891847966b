import { setTimeout as pause } from "node:timers/promises";
import { figure } from "../figures.ts";
import type { Row } from "../row.ts";
import { BoundaryProcess } from "./boundary-process.ts";
import { ANSWER_PORT } from "./names.ts";
import { type Network, PROFILES } from "./open.ts";
import { measureIn, sandboxed } from "./ways.ts";

const AT_A_TIME = 64;
const LOOK_MS = 200;
/** After the first part of the connections the memory is what it is going to be. */
const WARM = 0.2;
const FLAT = 1.15;

/** The boundary's resident memory while connection after connection passes through it, each looked at, decided, dialled and written down. */
export async function memory({ stage, server }: Network): Promise<Row[]> {
  const { scale, say } = stage;
  const sandbox = await sandboxed(server, PROFILES.through);
  const boundary = new BoundaryProcess(server);
  const seen: number[] = [];
  const over = new AbortController();
  const looking = (async () => {
    while (!over.signal.aborted) {
      seen.push(boundary.residentMiB);
      await pause(LOOK_MS);
    }
  })();
  const end = await measureIn<{ done: number; failed: number; seconds: number }>(sandbox, "many", "far%.test", ANSWER_PORT, scale.connections, AT_A_TIME, scale.connectionSeconds); // prettier-ignore
  over.abort();
  await looking;
  if (end.failed > 0) throw new Error(`${end.failed} connections failed beside ${end.done} that did not`);
  say(`${end.done} connections in ${end.seconds.toFixed(0)} s`);
  await server.client.json("DELETE", `/v1/sandboxes/${sandbox.id}`);
  const warm = seen.slice(Math.floor(seen.length * WARM));
  const quarter = Math.max(1, Math.floor(warm.length / 4));
  const [first, last] = [figure(warm.slice(0, quarter)).median, figure(warm.slice(-quarter)).median];
  const bound = end.done < scale.connections ? `as many of ${scale.connections} as ${scale.connectionSeconds} s allow; ` : "";
  return [
    {
      case: "network", what: `boundary memory over ${end.done} connections`, unit: "MiB", ours: figure(warm),
      target: { value: last / first, direction: "at_most", bound: FLAT, of: "x last quarter over first" },
      note: `${bound}${(end.done / end.seconds).toFixed(0)} a second, ${AT_A_TIME} at a time; resident, after a warm-up of ${WARM * 100} %: ${first.toFixed(0)} MiB at first, ${last.toFixed(0)} MiB at last`,
    },
  ]; // prettier-ignore
}
