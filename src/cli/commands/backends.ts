import { formatUsd } from "../../contract/format.ts";
import type { BackendInfo } from "../../contract/api.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";
import { milliseconds, share } from "../route-table.ts";
import { plain } from "../style.ts";

export const command: Command = {
  usage: "backends",
  about: `Lists the configured backends: whether they are available, the isolation each can give, what it costs, where it is, and
how it did of late. '?' is not known.`,
  options: {},
  positionals: [],
  examples: [["backends --json", "with every capability, limit, percentile and the whole price"]],
  async run(args) {
    expect("backends", args);
    await using connection = await connect();
    const found = await connection.client.backends();
    if (args.json) await json(found);
    else {
      await table(
        ["BACKEND", "PROVIDER", "STATE", "ISOLATION", "VCPU + GB AN HOUR", "REGION", "SELF-HOSTED", "COLD START p50 / p95", "EXEC p50 / p95", "SUCCEED"],
        found.map((backend) => [
          backend.name, backend.provider, stateOf(backend),
          backend.isolation.map(({ level, runtime }) => `${level} (${runtime})`).join(", ") || "-",
          priceOf(backend), backend.region ?? "?", backend.self_hosted === null ? "?" : backend.self_hosted ? "yes" : "no",
          took(backend, "cold_start"), took(backend, "exec_start"), share(backend.availability),
        ]),
      ); // prettier-ignore
      for (const { name, isolation } of found)
        for (const { level, notes } of isolation) for (const text of notes) await line(plain(`  ${name}, ${level}: ${text}`));
    }
    return 0;
  },
};

function stateOf({ available, reason, breaker, queue_ms }: BackendInfo): string {
  if (!available) return `unavailable: ${reason ?? "no reason given"}`;
  if (breaker.state !== "closed")
    return `left alone after failures${breaker.state === "open" ? `, ${Math.ceil((breaker.retry_after_ms ?? 0) / 1000)} s more` : ", tried again now"}`;
  return queue_ms > 0 ? `available, a queue of ${(queue_ms / 1000).toFixed(1)} s` : "available";
}

function priceOf({ price }: BackendInfo): string {
  if (price === null) return "?";
  const basis = price.cpu_basis === "active" ? " while busy" : "";
  return `${formatUsd(price.vcpu_hour * 1e6)}${basis} + ${formatUsd(price.gb_hour * 1e6)}`;
}

function took({ latency_ms }: BackendInfo, verb: string): string {
  const measured = latency_ms[verb];
  return measured === undefined ? "?" : `${milliseconds(measured.p50)} / ${milliseconds(measured.p95)}`;
}
