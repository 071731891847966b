import { type EffectiveRule, type EgressPolicy, type EgressRule, isTerminal, type NetworkView } from "../../contract/index.ts";
import type { SandboxNetworkRow, SandboxRow } from "../../ledger/index.ts";
import { policyIn } from "./egress.ts";
import type { Traffic } from "./traffic.ts";

/** A rule as everyone outside sees it. */
export function toRule(rule: EgressRule): EffectiveRule {
  return {
    id: rule.id,
    host: rule.host ?? null,
    cidr: rule.cidr ?? null,
    ports: [...rule.ports],
    methods: rule.methods === undefined ? null : [...rule.methods],
    paths: rule.paths === undefined ? null : [...rule.paths],
    tls: rule.tls,
    websocket: rule.websocket,
  };
}

const limitsOf = ({ limits }: EgressPolicy): NetworkView["limits"] => ({
  connections: limits.connections,
  bandwidth: limits.bytesPerSecond,
  bytes: limits.bytes,
  idle_seconds: limits.idleMs / 1000,
});

/** A sandbox that was made without egress. */
export function noNetwork(row: SandboxRow): NetworkView {
  return {
    object: "network",
    sandbox_id: row.id,
    state: "none",
    problem: null,
    revision: 0,
    applied_revision: 0,
    mode: "enforce",
    rules: [],
    within: [],
    limits: { connections: 0, bandwidth: null, bytes: 0, idle_seconds: 0 },
    traffic: { bytes_up: 0, bytes_down: 0, open: 0 },
  };
}

/** How it stands with the boundary's last answer; `problem` is that of the asking, where it failed. */
export function toView(row: SandboxRow, network: SandboxNetworkRow, seen: { traffic?: Traffic; problem?: string | null }): NetworkView {
  const policy = policyIn(network.policy);
  const problem = seen.problem ?? network.problem;
  const state = isTerminal(row.state) ? "ended" : problem !== null ? "unavailable" : network.attached === 1 ? "attached" : "attaching";
  return {
    object: "network",
    sandbox_id: row.id,
    state,
    problem: state === "ended" ? null : problem,
    revision: network.revision,
    applied_revision: network.applied,
    mode: policy.mode,
    rules: policy.rules.map(toRule),
    within: policyIn(network.ceiling).rules.map(toRule),
    limits: limitsOf(policy),
    traffic: {
      bytes_up: Math.max(network.bytes_up, seen.traffic?.bytesUp ?? 0),
      bytes_down: Math.max(network.bytes_down, seen.traffic?.bytesDown ?? 0),
      open: isTerminal(row.state) ? 0 : (seen.traffic?.open ?? null),
    },
  };
}
