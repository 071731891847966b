import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { formatBytes } from "../../contract/format.ts";
import { nearest } from "../../contract/nearest.ts";
import type { SnapshotInfo } from "../../sdk/index.ts";
import { archiveAt } from "../archive.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { duration, expect } from "../parse.ts";
import { fields, json, line, note, table } from "../print.ts";

const VERBS = ["create", "ls", "show", "rm", "export", "import"] as const;

export const command: Command = {
  usage:
    "snapshot create ID | snapshot ls | snapshot show SNAPSHOT | snapshot rm SNAPSHOT | snapshot export SNAPSHOT FILE | snapshot import FILE",
  about: `Keeps the files that a sandbox has written. It stands still while what changed since it was made, or restored, is copied, and goes on. A
snapshot outlives its sandbox, and is checked before it is used. Running processes are not in it. Export writes all that it stands on to one
file, and import takes that in, here or elsewhere; - is standard output or input.`,
  options: {
    name: { type: "string", value: "NAME", about: "create, import: a name for people" },
    ttl: { type: "string", value: "DURATION", about: "create: removed then; kept until it is removed unless given" },
    kind: { type: "string", value: "KIND", about: "create: disk; memory is refused in this version" },
    backend: { type: "string", value: "NAME", about: "import: where it is kept; the first backend that keeps any unless given" },
  },
  positionals: [VERBS, { create: "sandbox", otherwise: "snapshot" }, "path"],
  examples: [
    ["snapshot create ID --name before-upgrade --ttl 7d", "for a week"],
    ["snapshot export SNAPSHOT state.tar", "to take it elsewhere"],
    ["snapshot import state.tar --name from-laptop", "and there"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("snapshot", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    return RUN[known](args);
  },
};

const KINDS = ["disk", "memory"] as const;

const RUN: Readonly<Record<(typeof VERBS)[number], (args: Arguments) => Promise<number>>> = {
  async create(args) {
    const [, id = ""] = expect("snapshot", args, "VERB", "ID");
    const [name, ttl] = ["name", "ttl"].map((option) => args.text(option));
    const kind = KINDS.find((one) => one === (args.text("kind") ?? "disk"));
    if (kind === undefined) throw usageError("snapshot", "--kind is disk or memory");
    await using connection = await connect();
    const request = { ...(name === undefined ? {} : { name }), ...(ttl === undefined ? {} : { ttl: duration(ttl) }), kind };
    return told(args, await connection.client.snapshots.create(id, request));
  },
  async ls(args) {
    expect("snapshot", args, "VERB?");
    await using connection = await connect();
    const found = await connection.client.snapshots.list();
    if (args.json) await json(found);
    else await table(["ID", "NAME", "STATE", "SIZE", "FROM", "PARENT", "CREATED", "EXPIRES"], found.map(rowOf));
    return 0;
  },
  async show(args) {
    const [, id = ""] = expect("snapshot", args, "VERB", "SNAPSHOT");
    await using connection = await connect();
    const found = await connection.client.snapshots.get(id);
    if (args.json) await json(found);
    else await fields(Object.entries(found).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value] as const));
    return 0;
  },
  async rm(args) {
    const [, id = ""] = expect("snapshot", args, "VERB", "SNAPSHOT");
    await using connection = await connect();
    const removed = await connection.client.snapshots.remove(id);
    await (args.json ? json(removed) : line(removed.id));
    return 0;
  },
  async export(args) {
    const [, id = "", file = ""] = expect("snapshot", args, "VERB", "SNAPSHOT", "FILE");
    await using connection = await connect();
    const stream = await connection.client.snapshots.export(id);
    if (file === "-") await pipeline(stream, process.stdout, { end: false });
    else await whole(file, stream);
    return 0;
  },
  async import(args) {
    const [, file = ""] = expect("snapshot", args, "VERB", "FILE");
    const [name, backend] = ["name", "backend"].map((option) => args.text(option));
    await using connection = await connect();
    const options = { ...(name === undefined ? {} : { name }), ...(backend === undefined ? {} : { backend }) };
    return told(args, await connection.client.snapshots.import(archiveAt(file), options));
  },
}; // prettier-ignore

/** Under its name only when it is whole. */
async function whole(file: string, stream: ReadableStream<Uint8Array>): Promise<void> {
  const draft = `${file}.${process.pid}.part`;
  try {
    await pipeline(stream, createWriteStream(draft, { flags: "wx" }));
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}

async function told(args: Arguments, info: SnapshotInfo): Promise<number> {
  if (args.json) await json(info);
  else {
    await line(info.id);
    note(`${formatBytes(info.size_bytes ?? 0)}; preserves ${info.preserves.join(", ")}; side effects: ${info.side_effects.join(", ")}`);
  }
  return 0;
}

function rowOf(info: SnapshotInfo): string[] {
  const { id, name, state, size_bytes: size, sandbox_id: from, parent, created_at: at, expires_at: end } = info;
  return [id, name ?? "-", state, size === null ? "-" : formatBytes(size), from ?? "imported", parent ?? "-", at, end ?? "never"];
}
