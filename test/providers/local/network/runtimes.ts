import type { LocalOptions } from "../../../../src/providers/local/options.ts";
import { openHost } from "../../../../src/providers/local/open-host.ts";
import { Scratch } from "../scratch.ts";

export type RuntimeName = NonNullable<LocalOptions["runtimes"]>[number];

/** The runtimes that can have egress here; of the others it prints why not. Throws where root has none. */
export async function egressRuntimes(): Promise<RuntimeName[]> {
  const scratch = new Scratch();
  const { host, probed } = await openHost({ pool: 0 }, scratch.context());
  try {
    const able = probed.filter(({ works, withoutEgress }) => works && withoutEgress === undefined).map(({ name }) => name);
    for (const { name, works, reason, withoutEgress } of probed)
      if (!able.includes(name)) console.warn(`egress is not tested with ${name}: ${works ? withoutEgress : reason}`);
    if (able.length === 0 && process.getuid?.() === 0) throw new Error("no runtime can have egress on this host");
    return able;
  } finally {
    host.network.dispose();
    host.launcher.dispose();
    host.fifos.dispose();
    await host.pool.emptyBin();
    await scratch.remove();
  }
}
