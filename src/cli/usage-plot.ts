import { formatUsd } from "../contract/format.ts";
import type { UsageReport } from "../sdk/index.ts";

const [WIDTH, HEIGHT] = [920, 380];
const [LEFT, TOP, RIGHT, BOTTOM] = [84, 56, 24, 60];
const COLOURS = ["#3b6fb6", "#e08a3c", "#4f9d69", "#b8526b", "#7d6bb0", "#5aa9b5"];
const REST = "#9a9a9a";
const DAY_MS = 86_400_000;

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** The smallest of 1, 2 and 5 times a power of ten at or above it: four steps of a quarter are readable. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return ([1, 2, 4, 10].find((step) => step * power >= value) ?? 10) * power;
}

function daysBetween(from: string, to: string): string[] {
  const days: string[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

/** Cost by day as stacked bars; the parts are what the report is grouped by beside the day, the largest six by name. */
export function usagePlot(report: UsageReport): string {
  const others = report.by.filter((dimension) => dimension !== "day");
  const partOf = (row: UsageReport["data"][number]) => others.map((dimension) => row[dimension] || "none").join(" / ") || "cost";
  const totals = new Map<string, number>();
  for (const row of report.data) totals.set(partOf(row), (totals.get(partOf(row)) ?? 0) + row.cost_micro_usd);
  const ranked = [...totals].toSorted((a, b) => b[1] - a[1]).map(([name]) => name);
  const shown = ranked.slice(0, COLOURS.length);
  const series = [...shown, ...(ranked.length > shown.length ? ["others"] : [])];
  const colour = (name: string) => COLOURS[shown.indexOf(name)] ?? REST;

  const days = daysBetween(report.from, report.to);
  const cost = (day: string, name: string) =>
    report.data
      .filter((row) => row.day === day && (name === "others" ? !shown.includes(partOf(row)) : partOf(row) === name))
      .reduce((sum, row) => sum + row.cost_micro_usd, 0);
  const stacks = days.map((day) => series.map((name) => ({ name, amount: cost(day, name) })));
  const top = niceTop(Math.max(4, ...stacks.map((stack) => stack.reduce((sum, { amount }) => sum + amount, 0))));
  const [width, height] = [WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
  const y = (amount: number) => TOP + height - (amount / top) * height;
  const step = width / Math.max(1, days.length);

  const grid = [0, 1, 2, 3, 4].map((quarter) => {
    const amount = Math.round((top * quarter) / 4);
    const at = y(amount).toFixed(1);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="${quarter === 0 ? "#444" : "#ddd"}"/><text x="${LEFT - 8}" y="${at}" dy="4" text-anchor="end">${formatUsd(amount)}</text>`;
  });
  const bars = stacks.flatMap((stack, index) => {
    let below = 0;
    return stack.flatMap(({ name, amount }) => {
      if (amount === 0) return [];
      const [from, to] = [y(below), y((below += amount))];
      const x = (LEFT + index * step + step * 0.12).toFixed(1);
      return [
        `<rect x="${x}" y="${to.toFixed(1)}" width="${(step * 0.76).toFixed(1)}" height="${Math.max(0.5, from - to).toFixed(1)}" fill="${colour(name)}"><title>${days[index]} ${escape(name)}: ${formatUsd(amount)}</title></rect>`,
      ];
    });
  });
  const every = Math.max(1, Math.ceil(days.length / 10));
  const labels = days.flatMap((day, index) =>
    index % every === 0
      ? [`<text x="${(LEFT + (index + 0.5) * step).toFixed(1)}" y="${TOP + height + 18}" text-anchor="middle">${day.slice(5)}</text>`]
      : [],
  );
  let along = LEFT;
  const legend = (others.length === 0 ? [] : series).map((name) => {
    const at = along;
    along += 24 + Math.min(28, name.length) * 7;
    const text = name.length > 28 ? `${name.slice(0, 27)}…` : name;
    return `<rect x="${at}" y="${HEIGHT - 24}" width="11" height="11" fill="${colour(name)}"/><text x="${at + 16}" y="${HEIGHT - 14}">${escape(text)}</text>`;
  });
  const title = `Cost by day${others.length === 0 ? "" : ` and ${others.join(", ")}`}: ${formatUsd(report.total.cost_micro_usd)} from ${report.from} to ${report.to}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#333">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${LEFT}" y="28" font-size="16" font-weight="600">${escape(title)}</text>
${[...grid, ...bars, ...labels, ...legend].join("\n")}
</svg>
`;
}
