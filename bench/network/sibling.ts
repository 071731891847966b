import { figure, interleaved } from "../figures.ts";
import type { Row } from "../row.ts";
import { FAR, TLS_PORT } from "./names.ts";
import { type Network, PROFILES } from "./open.ts";
import { measureIn, sandboxed, type Way } from "./ways.ts";

const FLOOD = 64;
const BOUND = 2;
/** A flood moves more than this, however slow the machine. */
const LEAST_MIB = 8;

/** A sandbox's small requests while another one downloads all it can, over the same while that is quiet. */
export async function sibling({ stage, server, direct }: Network): Promise<Row[]> {
  const { scale, signal, say } = stage;
  const [quiet, flooding] = [await sandboxed(server, PROFILES.through), await sandboxed(server, PROFILES.through)];
  const seconds = Math.max(1, Math.round(scale.streamSeconds / 2));
  const [ours, alone] = [new Ratios(), new Ratios()];
  const p99 = async (way: Way): Promise<number> => {
    const { ms } = await measureIn<{ ms: number[] }>(way, "steady", FAR, TLS_PORT, seconds);
    return ms.sort((a, b) => a - b)[Math.floor(ms.length * 0.99)] ?? NaN;
  };
  const once = async (victim: Way, flood: Way, host: string, into: Ratios): Promise<void> => {
    const before = await p99(victim);
    const running = flood.run(["/usr/bin/wrk", "-t", "1", "-c", String(FLOOD), "-d", `${seconds + 1}s`, "--timeout", "60s", "-H", `Host: ${FAR}`, `https://${host}:${TLS_PORT}/file`]); // prettier-ignore
    const [during, flooded] = await Promise.all([p99(victim), running]);
    into.add(before, during, mebibytesIn(flooded) / (seconds + 1));
  };
  await interleaved(
    { rounds: Math.max(2, scale.fileRounds), seconds: scale.seconds * 2, signal },
    () => once(quiet, flooding, FAR, ours),
    () => once(direct, direct, direct.address, alone),
  );
  say("sibling");
  for (const { id } of [quiet, flooding]) await server.client.json("DELETE", `/v1/sandboxes/${id}`);
  const ratio = figure(ours.values);
  return [
    {
      case: "network", what: "a sibling's p99 under a flood over its quiet p99", unit: "x", ours: ratio, peer: { name: "direct", figure: figure(alone.values) },
      target: { value: ratio.median, direction: "at_most", bound: BOUND, of: "x its quiet p99" },
      note: `the flood: ${FLOOD} TLS downloads at once; p99 ${ours.words}, direct ${alone.words}: client, server and flood share the machine's cores in both`,
    },
  ]; // prettier-ignore
}

const UNITS: Readonly<Record<string, number>> = { B: 1 / 1024 ** 2, KB: 1 / 1024, MB: 1, GB: 1024 };

/** What wrk says it read. Throws where that was next to nothing: no flood, and so no measurement. */
function mebibytesIn(text: string): number {
  const [, amount, unit = ""] = /requests in [\d.]+\w+, ([\d.]+)(B|KB|MB|GB) read/.exec(text) ?? [];
  const read = Number(amount) * (UNITS[unit] ?? NaN);
  if (!(read > LEAST_MIB)) throw new Error(`the flood was none; wrk says:\n${text}`);
  return read;
}

class Ratios {
  readonly values: number[] = [];
  readonly #quiet: number[] = [];
  readonly #flooded: number[] = [];
  readonly #rates: number[] = [];

  add(quiet: number, flooded: number, rate: number): void {
    this.#rates.push(rate);
    this.#quiet.push(quiet);
    this.#flooded.push(flooded);
    this.values.push(flooded / quiet);
  }

  get words(): string {
    return `${figure(this.#quiet).median.toFixed(2)} ms quiet, ${figure(this.#flooded).median.toFixed(2)} ms flooded with ${figure(this.#rates).median.toFixed(0)} MiB/s`;
  }
}
