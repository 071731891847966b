import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { dataDirectory, ensureDataDirectory } from "../data-directory.ts";
import { OWN_FAILURE } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line } from "../print.ts";
import { plain } from "../style.ts";

export const command: Command = {
  usage: "sweep",
  about: `Ends what has expired or idled out, settles what was left half-done and removes orphans, now instead of at the next
interval, and says what it did. Exits 125 where a backend could not be read. With --list it only says what the
backends have of this data directory, by its labels and without the ledger: for when that is damaged.`,
  options: { list: { type: "boolean", about: "Only list what is there; works where the ledger does not open" } },
  positionals: [],
  examples: [
    ["sweep --json", "for a cron job without a server"],
    ["sweep --list", "what still runs when ledger.db is damaged"],
  ],
  async run(args) {
    expect("sweep", args);
    if (args.flag("list")) return list(args.json);
    await using connection = await connect();
    const { adopted, ended, orphans_removed: orphans, lost, errors } = await connection.client.sweep();
    if (args.json) await json({ adopted, ended, orphans_removed: orphans, lost, errors });
    else {
      for (const id of adopted) await line(`adopted  ${id}`);
      for (const { id, reason } of ended) await line(plain(`ended    ${id}  ${reason}`));
      for (const { id, backend } of orphans) await line(plain(`orphan   ${id}  removed at ${backend}`));
      for (const id of lost) await line(`lost     ${id}`);
      for (const { backend, sandbox_id: id, code, message } of errors)
        await line(plain(`error    ${[backend, id].filter((part) => part !== null).join(" ")}  ${code}: ${message}`));
      if (adopted.length + ended.length + orphans.length + lost.length + errors.length === 0) await line("nothing to do");
    }
    return errors.length > 0 ? OWN_FAILURE : 0;
  },
};

async function list(asJson: boolean): Promise<number> {
  const data = dataDirectory();
  ensureDataDirectory(data);
  const { listObjects } = await import("../../main.ts");
  const objects = await listObjects({ dataDir: data });
  if (asJson) await json(objects);
  else {
    for (const { backend, id, tenant, running } of objects)
      await line(plain(`${id}  ${running === true ? "running" : running === false ? "stopped" : "unknown"}  ${backend}  ${tenant}`));
    if (objects.length === 0) await line("nothing is there");
  }
  return 0;
}
