import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { HUB_FAILPOINTS } from "../../../src/engine/index.ts";
import { openSealer } from "../../../src/guard/index.ts";
import { openReceiver, until } from "../../support/receiver.ts";
import { ADMIN, openBench } from "../bench.ts";
import { write } from "./stage.ts";

const CHILD = new URL("deliver.child.ts", import.meta.url).pathname;

it.each(HUB_FAILPOINTS)(
  "a kill -9 at %s loses no event and changes no order: at most the one on its way is told twice",
  async (failpoint) => {
    let directory = "";
    const sealer = () => openSealer(directory, {});
    await using bench = await openBench({ engine: { sealer } });
    ({ directory } = bench);
    const receiver = await openReceiver();
    const { webhook } = await bench.engine.webhooks.add(ADMIN, { url: receiver.url, types: ["sandbox.renewed"] });
    const seqs = await write(bench, 5);
    const child = spawn(process.execPath, [CHILD, bench.directory, failpoint], { stdio: ["ignore", "inherit", "inherit"] });
    const [, signal] = (await once(child, "exit")) as [number | null, string | null];
    expect(signal).toBe("SIGKILL");
    expect(receiver.taken).toHaveLength(failpoint === "webhook.before_send" ? 0 : 1);

    // Nobody takes it from the dead one before its lease is over.
    const next = await bench.second({ background: true, sealer });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(receiver.taken.length).toBeLessThan(5);
    // The child came later, and began with the time of day as it was then.
    bench.clock.pass(180_000);
    await until(async () => (await next.webhooks.get(ADMIN, webhook.id)).cursor === seqs.at(-1));
    const told = receiver.taken.map(({ events }) => Number(events[0]?.id));
    expect(told).toEqual(failpoint === "webhook.after_send" ? [seqs[0], ...seqs] : seqs);
    if (failpoint === "webhook.after_send") expect(receiver.taken[0]?.headers["webhook-id"]).toBe(receiver.taken[1]?.headers["webhook-id"]);
  },
);
