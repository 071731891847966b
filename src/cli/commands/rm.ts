import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { OWN_FAILURE, report, usageError } from "../failure.ts";
import { pairs } from "../parse.ts";
import { json, line } from "../print.ts";

export const command: Command = {
  usage: "rm ID... | rm --all [--metadata KEY=VALUE]",
  about: `Ends sandboxes, and prints each id once its backend has confirmed that nothing is left of it. Goes on after a failure,
and then exits 125.`,
  options: {
    all: { type: "boolean", short: "a", about: "All live ones of this tenant" },
    metadata: { type: "string", short: "m", multiple: true, value: "KEY=VALUE", about: "With --all: only those with this label" },
  },
  positionals: ["sandbox"],
  examples: [
    ["rm ID1 ID2", "end two"],
    ["rm --all --metadata job=7", "end those of a job"],
  ],
  async run(args) {
    const labels = pairs("rm", "metadata", args.all("metadata"));
    const all = args.flag("all");
    if (all === args.positionals.length > 0) throw usageError("rm", "give ids, or --all");
    if (!all && args.all("metadata").length > 0) throw usageError("rm", "--metadata needs --all");
    await using connection = await connect();
    const ids = [...args.positionals];
    if (all)
      for await (const { id } of connection.client.list({
        states: ["provisioning", "ready", "paused", "suspended", "stopping", "lost"],
        metadata: labels,
      }))
        ids.push(id);
    let failed = false;
    await inBatches(ids, 8, async (id) => {
      try {
        const ended = await (await connection.client.connect(id)).destroy();
        await (args.json ? json(ended) : line(id));
      } catch (thrown) {
        failed = true;
        report(thrown, args.json);
      }
    });
    return failed ? OWN_FAILURE : 0;
  },
};

async function inBatches(items: readonly string[], workers: number, work: (item: string) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
