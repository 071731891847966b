import { formatBytes, formatDuration } from "../contract/format.ts";
import type { EffectiveRule, NetworkChange, NetworkCheck, NetworkVerdict, NetworkView } from "../sdk/index.ts";
import { fields, line, table } from "./print.ts";
import { paint, plain } from "./style.ts";

const anyOf = (values: readonly string[] | null) => (values === null ? "any" : values.length === 0 ? "none" : values.join(" "));

function ruleCells({ id, host, cidr, ports, tls, methods, paths, websocket }: EffectiveRule): string[] {
  const requests = tls === "inspect" || methods !== null || paths !== null;
  const what = requests ? `${anyOf(methods)} ${anyOf(paths)}${websocket ? ", WebSocket" : ""}` : "whatever is sent";
  return [id, host ?? cidr ?? "", ports.join(" "), tls, what];
}

const HEADINGS = ["RULE", "TO", "PORTS", "TLS", "REQUESTS"];

/** What a sandbox may reach, as a person reads it. */
export async function printView(view: NetworkView): Promise<void> {
  const { limits, traffic } = view;
  await fields([
    ["sandbox", view.sandbox_id],
    ["state", view.state],
    ["problem", view.problem],
    ...(view.state === "none"
      ? []
      : ([
          [
            "revision",
            view.applied_revision === view.revision ? view.revision : `${view.revision}; the boundary has ${view.applied_revision}`,
          ],
          ["mode", view.mode === "audit" ? "audit: what no rule allows is let out, and written down" : "enforce"],
          [
            "connections",
            `${traffic.open ?? "unknown"} open, at most ${limits.connections}; idle ones end after ${formatDuration(limits.idle_seconds)}`,
          ],
          ["sent", formatBytes(traffic.bytes_up)],
          [
            "received",
            `${formatBytes(traffic.bytes_down)}${limits.bytes === null ? "" : `; together at most ${formatBytes(limits.bytes)}`}`,
          ],
          ["bandwidth", limits.bandwidth === null ? null : `${formatBytes(limits.bandwidth)} a second each way`],
        ] as const)),
  ]);
  if (view.state === "none") return line("made without egress: nothing can be reached");
  await line("");
  if (view.rules.length === 0) await line(view.mode === "audit" ? "no rules" : "no rules: nothing can be reached");
  else await table(HEADINGS, view.rules.map(ruleCells));
}

export async function printChange(change: NetworkChange): Promise<void> {
  const rows = [...change.added.map((rule) => ["+", ...ruleCells(rule)]), ...change.removed.map((rule) => ["-", ...ruleCells(rule)])];
  if (rows.length === 0) await line("no rule changes");
  else await table(["", ...HEADINGS], rows);
  const would = change.dry_run ? "would be " : "";
  await fields([
    [
      "narrowed",
      change.narrowed.length === 0 ? null : `${change.narrowed.join(", ")}: asked for more than the profile or the operator allows`,
    ],
    [
      "connections",
      change.closed === null ? "which would be closed is not known: the boundary does not answer" : `${change.closed} ${would}closed`,
    ],
    ["revision", change.dry_run ? `${change.network.revision}, unchanged: a dry run` : change.network.revision],
  ]);
}

export async function printCheck(check: NetworkCheck): Promise<void> {
  const { needed } = check;
  await fields([
    ["verdict", check.verdict],
    ["rule", check.rule === null ? null : `${check.rule} of ${check.profile}, tls: ${check.tls ?? "passthrough"}`],
    ["reason", check.reason],
    ["detail", check.detail],
    ["note", check.note],
    ["needed", needed === null ? null : JSON.stringify(needed)],
  ]);
}

const COLORS = { allow: "green", deny: "red", audit: "yellow" } as const;

/** One entry of the log on one line. */
export function logLine(entry: NetworkVerdict): string {
  const { verdict, protocol, method, host, port, path } = entry;
  const what = `${method === null ? "" : `${method} `}${host}:${port}${path ?? ""}`;
  const why =
    entry.reason === null
      ? `${entry.rule ?? ""}  ${formatBytes(entry.bytes_up)} up, ${formatBytes(entry.bytes_down)} down, ${Math.round(entry.ms)} ms`
      : `${entry.reason}: ${entry.detail ?? ""}`;
  const secret = entry.secret === null ? "" : `  secret ${entry.secret}`;
  const shown = paint(process.stdout, COLORS[verdict], verdict.padEnd(5));
  return `${String(entry.seq).padStart(5)}  ${paint(process.stdout, "dim", entry.at)}  ${shown}  ${protocol.padEnd(9)}  ${plain(`${what}  ${why}${secret}`)}`.trimEnd();
}
