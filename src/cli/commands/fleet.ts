import { nearest } from "../../contract/nearest.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";

const VERBS = ["ls"] as const;

export const command: Command = {
  usage: "fleet ls",
  about: `Lists who works on the ledger: the control planes with the time their leases still hold, the hosts with what lives in their
local runtimes, and which control plane does what only one does at a time. Times are by the ledger's own clock.`,
  options: {},
  positionals: [VERBS],
  examples: [["fleet ls --json", "for a check of who is alive"]],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    if (verb !== "ls") throw usageError("fleet", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    expect("fleet", args, "VERB");
    await using connection = await connect();
    const fleet = await connection.client.fleet();
    if (args.json) {
      await json(fleet);
      return 0;
    }
    const names = new Map(fleet.hosts.map(({ id, name }) => [id, name]));
    const instances = fleet.instances.map((one) => [
      one.self ? `${one.id} (answers)` : one.id,
      one.host === null ? "this one" : (names.get(one.host) ?? one.host),
      String(one.pid),
      one.alive ? "alive" : "dead",
      one.lease_ms === null ? "-" : seconds(one.lease_ms),
      seconds(one.started_ms),
    ]);
    await table(["CONTROL PLANE", "HOST", "PID", "STATE", "LEASE LEFT", "UP"], instances);
    if (fleet.hosts.length > 0) {
      await line("");
      const hosts = fleet.hosts.map((host) => [
        host.name,
        host.id,
        host.address ?? "-",
        String(host.sandboxes),
        `${seconds(host.seen_ms)} ago`,
      ]);
      await table(["HOST", "ID", "ADDRESS", "SANDBOXES", "SEEN"], hosts);
    }
    if (fleet.leases.length > 0) {
      await line("");
      await table(["DONE BY ONE", "CONTROL PLANE", "LEFT"], fleet.leases.map(({ name, holder, left_ms }) => [name, holder, seconds(left_ms)])); // prettier-ignore
    }
    return 0;
  },
};

function seconds(ms: number): string {
  return ms <= 0 ? "over" : `${Math.round(ms / 1000)}s`;
}
