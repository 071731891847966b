import type { AllowRule, NetworkSuggestion, NetworkVerdict, Principal } from "../../contract/index.ts";
import { suggestRules } from "../../guard/index.ts";
import { readVerdicts } from "../../ledger/index.ts";
import type { Context } from "../context.ts";
import { logPage } from "./log.ts";

const PAGE = 1000;

/** Texts that YAML reads as the text they are. */
const PLAIN = /^([a-z][a-z0-9-]*(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*|GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|inspect|passthrough)$/;

const scalar = (value: unknown): string => (typeof value === "string" && PLAIN.test(value) ? value : JSON.stringify(value));

/** A rule on one line, as people write them: `{ host: pypi.org, ports: [443] }`. */
function toYaml(rule: AllowRule): string {
  const fields = Object.entries(rule).map(
    ([key, value]) => `${key}: ${Array.isArray(value) ? `[${value.map(scalar).join(", ")}]` : scalar(value)}`,
  );
  return `    - { ${fields.join(", ")} }\n`;
}

/** Rules made from what was refused, as far as the log goes back. Nothing is changed by asking. */
export async function suggest(ctx: Context, who: Principal, id: string): Promise<NetworkSuggestion> {
  // Looks whether they may, and takes in what is new.
  await logPage(ctx, who, id, { limit: 1 });
  const entries: NetworkVerdict[] = [];
  for (let after = 0; ; after = entries.at(-1)?.seq ?? after) {
    const page = await readVerdicts(ctx.ledger.db, { sandboxId: id, after, limit: PAGE, refused: true });
    entries.push(...page);
    if (page.length < PAGE) break;
  }
  const { allow, entries: used, leftOut } = suggestRules(entries);
  const yaml = allow.length === 0 ? "network:\n  allow: []\n" : `network:\n  allow:\n${allow.map(toYaml).join("")}`;
  return { object: "network_suggestion", sandbox_id: id, from_entries: used, allow, yaml, left_out: leftOut };
}
