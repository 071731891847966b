import { nearest } from "../../contract/nearest.ts";
import type { Arguments, Command } from "../command.ts";
import { usageError } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { expect } from "../parse.ts";
import { fields, json, line, note, table, write } from "../print.ts";

const VERBS = ["stats", "compact", "backup", "export", "move"] as const;
type Verb = (typeof VERBS)[number];

export const command: Command = {
  usage: "ledger stats | ledger compact | ledger backup FILE | ledger export | ledger move --to ADDRESS",
  about: `Looks after the ledger of this data directory, beside a server that runs or without one. stats counts; compact does now what is
done each night: forgets what is over for longer than 'retention' says, and gives room back; backup copies the file as it
stands while others write, and checks the copy; export prints every row as a line of JSON, without key hashes and secrets' values;
move copies the file into an empty PostgreSQL, verified row by row, and refuses to while a process works on it.`,
  options: { to: { type: "string", value: "ADDRESS", about: "move: the database, as postgres://user@host/sandboxer" } },
  positionals: [VERBS, "path"],
  examples: [
    ["ledger backup /var/backups/ledger-$(date +%F).db", "online; restore it by putting it back as ledger.db"],
    ["ledger move --to postgres://sandboxer@db/sandboxer", "then set SANDBOXER_LEDGER to the same address"],
  ],
  async run(args) {
    const [verb = ""] = args.positionals;
    if (!isVerb(verb)) throw usageError("ledger", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "stats"}"?`);
    const [, file = ""] = expect("ledger", args, "VERB", ...(verb === "backup" ? ["FILE"] : []));
    await DOES[verb](args, file);
    return 0;
  },
};

const isVerb = (text: string): text is Verb => VERBS.some((verb) => verb === text);

const DOES: Readonly<Record<Verb, (args: Arguments, file: string) => Promise<void>>> = { stats, compact, backup, export: exportAll, move };

async function stats(args: Arguments): Promise<void> {
  const { stats: count } = await import("../../upkeep.ts");
  const found = await count();
  if (args.json) return json(found);
  await fields([
    ["storage", `${found.storage}, schema ${found.schema}`],
    ["size", `${mebibytes(found.bytes)}, of which ${mebibytes(found.free_bytes)} are free`],
    ["live", `${found.live} sandboxes`],
    ["oldest event", found.oldest_event_at === null ? "-" : new Date(found.oldest_event_at).toISOString()],
  ]);
  await line("");
  await table(["TABLE", "ROWS"], found.tables.map(({ name, rows }) => [name, String(rows)])); // prettier-ignore
}

async function compact(args: Arguments): Promise<void> {
  const { compactNow } = await import("../../upkeep.ts");
  using interrupt = interruptible();
  const done = await compactNow(interrupt.signal);
  if (args.json) return json(done);
  const { events, sandboxes, network_log: log } = done.forgotten;
  await line(`forgot ${sandboxes} sandboxes, ${events} events and ${log} lines of network log; gave back ${mebibytes(done.bytes)}`);
}

async function backup(args: Arguments, file: string): Promise<void> {
  const { backupTo } = await import("../../upkeep.ts");
  const done = await backupTo(file);
  if (args.json) return json(done);
  await line(`${done.file}: ${mebibytes(done.bytes)}, checked`);
}

async function exportAll(): Promise<void> {
  const { exportRows } = await import("../../upkeep.ts");
  const count = await exportRows((entry) => write(process.stdout, `${JSON.stringify(entry)}\n`));
  note(`${count} rows`);
}

async function move(args: Arguments): Promise<void> {
  const to = args.text("to");
  if (to === undefined) throw usageError("ledger", "move needs --to ADDRESS");
  const { moveTo } = await import("../../upkeep.ts");
  const { tables, kept } = await moveTo(to);
  if (args.json) return json({ tables, kept });
  await table(["TABLE", "ROWS", "DIGEST"], tables.map((one) => [one.table, String(one.rows), one.digest.slice(0, 16)])); // prettier-ignore
  await line(`moved; the file is kept as ${kept}. Set SANDBOXER_LEDGER, or ledger: in sand-boxer.yaml, before the next start.`);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
