import { formatBytes, formatDuration, formatUsd } from "../../contract/format.ts";
import type { NetworkView, SandboxInfo, Usage } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { fields, json, line, relative, table } from "../print.ts";

export const command: Command = {
  usage: "show ID",
  about: `Shows one sandbox: its state and why it ended, what isolates it, where it runs and why there, its clocks, its limits,
what it uses now, and what it costs: so far, and at the most.`,
  options: {},
  positionals: ["sandbox"],
  examples: [["show ID --json", "everything, for a program"]],
  async run(args) {
    const [id = ""] = expect("show", args, "ID");
    await using connection = await connect();
    const sandbox = await connection.client.connect(id);
    const usage = sandbox.info.state === "ready" || sandbox.info.state === "paused" ? await sandbox.usage() : null;
    const network = await sandbox.network.get();
    if (args.json) await json({ ...sandbox.info, usage, network });
    else await print(sandbox.info, usage, network);
    return 0;
  },
};

async function print(info: SandboxInfo, usage: Usage | null, network: NetworkView): Promise<void> {
  const { isolation, termination, error, route, resources } = info;
  const when = (timestamp: string | null) => (timestamp === null ? null : `${timestamp} (${relative(timestamp, formatDuration)})`);
  const of = (used: number | null | undefined, limit: number) =>
    used === null || used === undefined ? `limit ${formatBytes(limit)}` : `${formatBytes(used)} of ${formatBytes(limit)}`;
  await fields([
    ["id", info.id],
    ["name", info.name],
    ["state", info.state],
    ["ended because", termination === null ? null : `${termination.reason}${termination.detail === null ? "" : `: ${termination.detail}`}`],
    ["error", error === null ? null : `${error.code}: ${error.message}`],
    ["tenant", info.tenant],
    ["profile", `${info.profile.name}@${info.profile.version}  ${info.profile.digest}`],
    ["narrowed", info.narrowed.length === 0 ? null : info.narrowed.join(", ")],
    [
      "isolation",
      `${isolation.effective ?? "not verified yet"} (at least ${isolation.min} asked)${isolation.runtime === null ? "" : `, ${isolation.runtime}`}`,
    ],
    ...isolation.notes.map((text) => ["  note", text] as const),
    ["backend", info.backend],
    ["route", route.reason],
    ["instead of", route.instead_of?.map(({ profile, code, reason }) => `profile ${profile} (${code}: ${reason})`).join("; ") ?? null],
    ["price", costOf(route)],
    ["state lost", info.state_lost ? "yes: made anew, what an earlier one held is gone" : null],
    ["standing still", info.resting === null ? null : `since ${when(info.resting.since)}: ${info.resting.because}`],
    ["found by", info.scope === null ? null : `${info.scope.kind} ${info.scope.key}`],
    ["created", when(info.created_at)],
    ["ended", when(info.ended_at)],
    ["expires", info.ended_at === null ? when(info.expires_at) : null],
    ["max life", info.ended_at === null ? when(info.max_life_at) : null],
    [
      "idle",
      info.idle_seconds === null
        ? null
        : `${formatDuration(info.idle_seconds)} without use; last used ${relative(info.last_active_at, formatDuration)}`,
    ],
    ["cpu", `${resources.cpu}${usage?.cpu_seconds === null || usage === null ? "" : `; ${usage.cpu_seconds.toFixed(2)} s used`}`],
    ["memory", `${of(usage?.memory_bytes, resources.memory_bytes)}${usage?.oom_kills ? `; ${usage.oom_kills} killed for want of it` : ""}`],
    ["disk", of(usage?.disk_bytes, resources.disk_bytes)],
    ["processes", usage?.pids === null || usage === null ? `limit ${resources.pids}` : `${usage.pids} of ${resources.pids}`],
    ["network", reach(network)],
    ["cost", costs(info.cost)],
    ...Object.entries(info.metadata).map(([key, value]) => [`label ${key}`, value] as const),
  ]);
  if (route.candidates.length > 1) {
    await line("");
    await table(
      ["BACKEND", "VERDICT", "AN HOUR", "REASON"],
      route.candidates.map(({ backend, verdict, cost, reason }) => [
        backend,
        verdict,
        cost ? formatUsd(cost.per_hour_micro_usd) : "?",
        reason,
      ]),
    );
  }
}

function costs(cost: SandboxInfo["cost"]): string | null {
  if (cost === undefined) return null;
  const { so_far_micro_usd: soFar, largest_micro_usd: largest, micro_usd_per_hour: rate, settled, account } = cost;
  const payer = account === "default" ? "" : `; ${account} pays`;
  if (soFar === null) return `unknown: ${cost.unknown_because ?? "its price is not known"}${payer}`;
  const about = cost.precision === "upper_bound" ? "at most " : "";
  if (settled) return `${about}${formatUsd(soFar)}${payer}`;
  const bound = largest === null ? `no bound: ${cost.unknown_because ?? "it cannot be said"}` : `${formatUsd(largest)} at the most`;
  return `${about}${formatUsd(soFar)} so far; ${bound}${rate === null ? "" : `; ${formatUsd(rate)} an hour`}${payer}`;
}

/** As it was decided; nothing where nothing is charged. */
function costOf({ candidates, chosen }: SandboxInfo["route"]): string | null {
  const cost = candidates.find(({ backend }) => backend === chosen)?.cost;
  if (cost === undefined || (cost?.per_hour_micro_usd === 0 && cost.at_most_micro_usd === 0)) return null;
  if (cost === null) return "not known";
  const most = cost.at_most_micro_usd === null ? "no known bound" : `at most ${formatUsd(cost.at_most_micro_usd)}`;
  return `${formatUsd(cost.per_hour_micro_usd)} an hour, ${most} (${cost.source}, ${cost.effective})`;
}

function reach({ state, problem, rules, mode }: NetworkView): string {
  if (state === "none") return "none";
  const count = `${rules.length} ${rules.length === 1 ? "rule" : "rules"}${mode === "audit" ? ", mode audit" : ""}`;
  return problem === null ? `${count}, ${state}` : `${count}; nothing gets out: ${problem}`;
}
