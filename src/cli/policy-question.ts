import type { PolicyQuestion } from "../sdk/index.ts";
import type { Arguments } from "./command.ts";
import { usageError } from "./failure.ts";

/** JSON where it is some, and text where it is not: `max_life=7200`, `isolation=gvisor`. */
function valueIn(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** `a.b=VALUE` as `{a: {b: VALUE}}`. */
function factsIn(option: string, given: readonly string[]): Record<string, unknown> {
  const facts: Record<string, unknown> = {};
  for (const pair of given) {
    const at = pair.indexOf("=");
    if (at <= 0) throw usageError("policy", `--${option} must be NAME=VALUE; got "${pair}"`);
    const path = pair.slice(0, at).split(".");
    const last = path.pop() ?? "";
    let below = facts;
    for (const step of path) below = (below[step] ??= {}) as Record<string, unknown>;
    below[last] = valueIn(pair.slice(at + 1));
  }
  return facts;
}

/** The request that the options of `policy explain` describe. */
export function questionIn(action: string, args: Arguments): PolicyQuestion {
  const text = (name: "key" | "tenant" | "project" | "role") => {
    const given = args.text(name);
    return given === undefined ? {} : { [name]: given };
  };
  const labels = args.all("label");
  return {
    principal: {
      ...text("key"),
      ...text("tenant"),
      ...text("project"),
      ...text("role"),
      ...(labels.length === 0 ? {} : { labels: [...labels] }),
    },
    // The server knows the actions, and names the nearest to one that is none.
    action: action as PolicyQuestion["action"],
    resource: factsIn("resource", args.all("resource")),
    context: factsIn("context", args.all("context")),
  };
}
