import { formatDuration } from "../../contract/format.ts";
import { nearest } from "../../contract/nearest.ts";
import type { SandboxInfo, SandboxState } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { count, expect, pairs } from "../parse.ts";
import { json, line, relative, table } from "../print.ts";

// The contract's own list comes with its schemas, whose loading would take longer than the command.
const STATES: Readonly<Record<SandboxState, "live" | "ended">> = {
  provisioning: "live",
  ready: "live",
  paused: "live",
  suspended: "live",
  stopping: "live",
  lost: "live",
  terminated: "ended",
  failed: "ended",
};
const SANDBOX_STATES = Object.keys(STATES) as SandboxState[];
const LIVE = SANDBOX_STATES.filter((state) => STATES[state] === "live");

export const command: Command = {
  usage: "ls [OPTIONS]",
  about: `Lists sandboxes, newest first: the live ones, unless --all or --state says otherwise.`,
  options: {
    all: { type: "boolean", short: "a", about: "Those that have ended too" },
    state: { type: "string", short: "s", multiple: true, value: "STATE", about: `Only these: ${SANDBOX_STATES.join(", ")}` },
    metadata: { type: "string", short: "m", multiple: true, value: "KEY=VALUE", about: "Only those with this label; may be repeated" },
    "all-tenants": { type: "boolean", about: "Every tenant's (scope admin)" },
    limit: { type: "string", short: "n", value: "COUNT", about: "At most this many" },
    quiet: { type: "boolean", short: "q", about: "Print ids only" },
  },
  positionals: [],
  examples: [
    ["ls", "the live ones"],
    ["ls -q --metadata agent=42 | xargs sand-boxer rm", "end those with a label"],
  ],
  async run(args) {
    expect("ls", args);
    const limit = args.text("limit") === undefined ? Infinity : count("ls", "limit", args.text("limit") ?? "");
    await using connection = await connect();
    const metadata = pairs("ls", "metadata", args.all("metadata"));
    const query = {
      states: statesFrom(args.all("state"), args.flag("all")),
      metadata,
      ...(args.flag("all-tenants") ? { allTenants: true } : {}),
    };
    const found: SandboxInfo[] = [];
    if (limit > 0) {
      for await (const sandbox of connection.client.list(query)) {
        found.push(sandbox);
        if (found.length >= limit) break;
      }
    }
    if (args.json) await json(found);
    else if (args.flag("quiet")) for (const { id } of found) await line(id);
    else await table(["ID", "STATE", "PROFILE", "BACKEND", "ISOLATION", "CREATED", "EXPIRES", "NAME"], found.map(row));
    return 0;
  },
};

function statesFrom(named: readonly string[], all: boolean): readonly SandboxState[] {
  if (named.length === 0) return all ? SANDBOX_STATES : LIVE;
  return named
    .flatMap((text) => text.split(","))
    .map((text) => {
      const state = SANDBOX_STATES.find((known) => known === text);
      if (state === undefined) throw usageError("ls", `unknown state "${text}"; nearest: "${nearest(text, SANDBOX_STATES) ?? "ready"}"`);
      return state;
    });
}

function row(sandbox: SandboxInfo): string[] {
  const { id, state, profile, backend, isolation, created_at, expires_at, ended_at, termination, name } = sandbox;
  return [
    id,
    termination === null ? state : `${state} (${termination.reason})`,
    `${profile.name}@${profile.version}`,
    backend ?? "-",
    isolation.effective ?? "-",
    relative(created_at, formatDuration),
    ended_at === null ? relative(expires_at, formatDuration) : "-",
    name ?? "",
  ];
}
