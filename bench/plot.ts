import { short, targetWords } from "./report.ts";
import { type Row, type Target, verdict } from "./row.ts";

const WIDTH = 960;
const LABELS = 330;
const VALUES = 250;
const BAR = 18;
const STEP = 30;
const TOP = 92;
/** The scale ends at twice the target; longer bars are cut off, their figure stands beside them. */
const SCALE_END = 2;

const COLORS = { met: "#2f7d5b", missed: "#c2452d", line: "#1b1b1b", text: "#1b1b1b", faint: "#6b6b6b", grid: "#dddddd" };

/** Measured over the bound, so that at most 1 is met, also where more is better. */
function share({ value, bound, direction }: Target): number {
  return direction === "at_most" ? value / bound : bound / value;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function text(x: number, y: number, words: string, extra = ""): string {
  return `<text x="${x}" y="${y}" ${extra}>${escape(words)}</text>`;
}

/** Bars of what was measured over its target, with the target as one line, as an SVG document. Rows without a target are left out. */
export function toSvg(rows: readonly Row[], caption: string): string {
  const shown = rows.flatMap((row) => (row.target === undefined ? [] : [{ row, target: row.target }]));
  const area = WIDTH - LABELS - VALUES;
  const x = (value: number): number => Math.round(LABELS + (area * Math.min(value, SCALE_END)) / SCALE_END);
  const bottom = TOP + shown.length * STEP;
  const grid = [0, 0.5, 1, 1.5, 2].map(
    (mark) =>
      `<line x1="${x(mark)}" x2="${x(mark)}" y1="${TOP - 8}" y2="${bottom}" stroke="${COLORS.grid}"/>` +
      text(x(mark), bottom + 18, `${mark}`, `text-anchor="middle" fill="${COLORS.faint}"`),
  );
  const bars = shown.map(({ row, target }, index) => {
    const y = TOP + index * STEP;
    const over = share(target);
    const words = `${short(target.value)} ${target.of} (${targetWords({ ...target, of: "" }).trim()})`;
    return [
      text(LABELS - 12, y + 13, row.what, 'text-anchor="end"'),
      `<rect x="${x(0)}" y="${y}" width="${Math.max(1, x(over) - x(0))}" height="${BAR}" rx="2" fill="${verdict(row) === "met" ? COLORS.met : COLORS.missed}"/>`,
      text(WIDTH - VALUES + 14, y + 13, over > SCALE_END ? `${words} »` : words, `fill="${COLORS.faint}"`),
    ].join("\n");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 56}" width="${WIDTH}" height="${bottom + 56}" font-family="ui-sans-serif, system-ui, 'DejaVu Sans', sans-serif" font-size="13" fill="${COLORS.text}">
<rect width="100%" height="100%" fill="#ffffff"/>
${text(24, 30, "Measured over target", 'font-size="18" font-weight="600"')}
${text(24, 50, caption, `fill="${COLORS.faint}" font-size="12"`)}
${grid.join("\n")}
${bars.join("\n")}
<line x1="${x(1)}" x2="${x(1)}" y1="${TOP - 12}" y2="${bottom}" stroke="${COLORS.line}" stroke-width="1.5" stroke-dasharray="5 3"/>
${text(x(1), TOP - 16, "target", 'text-anchor="middle" font-size="12"')}
${text(x(1), bottom + 40, "bar left of the line: target met; for throughput the bar is target over measured", `text-anchor="middle" fill="${COLORS.faint}" font-size="12"`)}
</svg>
`;
}
