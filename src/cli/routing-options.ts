import type { Arguments, Option } from "./command.ts";
import { usageError } from "./failure.ts";
import { count } from "./parse.ts";

/** What `create`, `run` and `route` take to say where the sandbox may run, and what is preferred. */
export const ROUTING_OPTIONS = {
  backend: { type: "string", multiple: true, value: "NAME", about: "Only this backend; may be repeated" },
  prefer: { type: "string", multiple: true, value: "NAME", about: "This backend first; may be repeated, in order" },
  avoid: { type: "string", multiple: true, value: "NAME", about: "Never this backend; may be repeated" },
  "no-fallbacks": { type: "boolean", about: "Fail instead of trying another backend or profile" },
  "or-profile": { type: "string", multiple: true, value: "NAME[@VERSION]", about: "Made from this where nobody can take the first", complete: "profile" },
  sort: { type: "string", value: "BY", about: "price, cold_start, exec_latency or availability; balanced unless given" },
  "max-price": { type: "string", value: "USD", about: "At most this an hour, its CPU busy" },
  "max-cost": { type: "string", value: "USD", about: "At most this over its whole life" },
  "duty-cycle": { type: "string", value: "SHARE", about: "Expected share of time with the CPU busy, 0 to 1 (0.1)" },
  "cold-start": { type: "string", value: "MS", about: "Prefer backends that start within this, at the median" },
  region: { type: "string", value: "REGION", about: "Only where the data stays there (eu, eu-west-1)" },
  "self-hosted": { type: "boolean", about: "Only on machines of the operator's own" },
  require: { type: "string", multiple: true, value: "CAPABILITY", about: "Only where the backend has it; may be repeated" },
} as const satisfies Record<string, Option>; // prettier-ignore

/** The request's `routing`; undefined where nothing is said. Names and units are checked by the server. */
export function routingFrom(command: string, args: Arguments): Record<string, unknown> | undefined {
  const routing: Record<string, unknown> = {};
  const lists = [["backend", "only"], ["prefer", "order"], ["avoid", "ignore"], ["or-profile", "profiles"], ["require", "require_capabilities"]] as const; // prettier-ignore
  for (const [option, field] of lists) {
    const values = args.all(option);
    if (values.length > 0) routing[field] = values;
  }
  const numbers = [["max-price", "max_price_per_hour"], ["max-cost", "max_total_cost"], ["duty-cycle", "duty_cycle"]] as const; // prettier-ignore
  for (const [option, field] of numbers) {
    const text = args.text(option);
    if (text === undefined) continue;
    if (!/^\d+(\.\d+)?$/.test(text)) throw usageError(command, `--${option} must be a number; got "${text}"`);
    routing[field] = Number(text);
  }
  const texts = [["sort", "sort"], ["region", "data_residency"]] as const; // prettier-ignore
  for (const [option, field] of texts) {
    const text = args.text(option);
    if (text !== undefined) routing[field] = text;
  }
  const fast = args.text("cold-start");
  if (fast !== undefined) routing["preferred_max_cold_start"] = { p50: count(command, "cold-start", fast) };
  if (args.flag("no-fallbacks")) routing["allow_fallbacks"] = false;
  if (args.flag("self-hosted")) routing["self_hosted_only"] = true;
  return Object.keys(routing).length === 0 ? undefined : routing;
}
