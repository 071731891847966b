import { formatUsd } from "../contract/format.ts";
import type { Route, RouteCandidate } from "../sdk/index.ts";
import { line, table } from "./print.ts";
import { plain } from "./style.ts";

export const milliseconds = (value: number): string =>
  value < 10 ? `${value.toFixed(1)} ms` : value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
const money = (amount: number | null | undefined): string => (amount === null || amount === undefined ? "?" : formatUsd(amount));
const median = (measured: RouteCandidate["exec_ms"]): string =>
  measured === null || measured === undefined ? "?" : milliseconds(measured.p50);
export const share = (value: number | null | undefined): string =>
  value === null || value === undefined ? "?" : `${Number((value * 100).toFixed(1))} %`;

/** A decision as a person reads it: where, why, why not elsewhere, and what each would cost. `?`: not known. */
export async function printRoute(route: Route): Promise<void> {
  await line(plain(route.chosen === null ? "no backend would take it" : route.reason));
  for (const { profile, code, reason } of route.instead_of ?? []) await line(plain(`instead of profile ${profile}: ${code}: ${reason}`));
  if (route.candidates.length === 0) return;
  await line("");
  await table(
    ["BACKEND", "VERDICT", "AN HOUR", "EXPECTED", "AT MOST", "COLD START", "EXEC", "SUCCEED", "REASON"],
    route.candidates.map(({ backend, verdict, reason, cost, cold_start_ms, exec_ms, availability }) => [
      backend, verdict, money(cost?.per_hour_micro_usd), money(cost?.expected_micro_usd), money(cost?.at_most_micro_usd),
      median(cold_start_ms), median(exec_ms), share(availability), reason,
    ]),
  ); // prettier-ignore
  const busy =
    route.duty_cycle === undefined || route.duty_cycle === 1
      ? "with its CPU busy"
      : `with its CPU busy ${share(route.duty_cycle)} of the time`;
  await line(
    `\nAN HOUR and EXPECTED (over the ttl) are ${busy}, AT MOST is over max_life with the CPU busy throughout. COLD START and EXEC are medians of late.`,
  );
  const priced = route.candidates.filter(
    ({ cost }) => cost !== null && cost !== undefined && cost.per_hour_micro_usd + (cost.at_most_micro_usd ?? 0) > 0,
  );
  for (const { backend, cost } of priced)
    await line(
      plain(`price of ${backend}: as of ${cost?.effective ?? "?"}, by ${cost?.source ?? "?"}, confidence ${cost?.confidence ?? "?"}`),
    );
}
