import { create } from "../network/create.ts";
import { inspected } from "../network/inspected.ts";
import { latency } from "../network/latency.ts";
import { memory } from "../network/memory.ts";
import { type Network, withNetwork } from "../network/open.ts";
import { missingPackages, PEERS } from "../network/programs.ts";
import { sibling } from "../network/sibling.ts";
import { throughput } from "../network/throughput.ts";
import { NotMeasured, type Row } from "../row.ts";
import type { Stage } from "../stage.ts";

const PARTS: Readonly<Record<string, (network: Network) => Promise<Row[]>>> = { throughput, latency, inspected, create, sibling, memory };

/** What the boundary costs, beside a namespace and a veth pair alone and beside proxies of Debian's, in one run. */
export async function network(stage: Stage): Promise<Row[]> {
  const missing = missingPackages();
  if (missing.length > 0) throw new NotMeasured(`these Debian packages are missing: ${missing.join(", ")}`);
  return withNetwork(stage, async (network) => {
    if (network.missing.length > 0)
      stage.say(`not compared with ${network.missing.join(", ")}: apt-get install ${Object.values(PEERS).join(" ")}`);
    const rows: Row[] = [];
    for (const part of Object.values(PARTS)) rows.push(...(await part(network)));
    return network.missing.length === 0
      ? rows
      : rows.map((row, index) =>
          index > 0 ? row : { ...row, note: `${row.note ?? ""}; not installed, so not measured: ${network.missing.join(", ")}` },
        );
  });
}
