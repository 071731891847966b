import { describe, expect, it } from "vitest";
import { formatUsd, parseUsd } from "../../src/contract/format.ts";
import { usagePlot } from "../../src/cli/usage-plot.ts";

describe("amounts", () => {
  it.each([
    [0, "$0.00"],
    [1, "$0.000001"],
    [340, "$0.00034"],
    [1_250_000, "$1.25"],
    [-3_000_000, "-$3.00"],
    [12_345_678_901, "$12345.678901"],
  ])("%i micro-dollars read %s, and that means the same again", (amount, text) => {
    expect(formatUsd(amount)).toBe(text);
    expect(parseUsd(text.replace("-$", "-"))).toBe(amount);
  });

  it.each(["", "1,5", "0.0000001", "1e3", "$", "99999999999"])("refuses %j", (text) => {
    expect(parseUsd(text)).toBeUndefined();
  });
});

describe("the plot of usage", () => {
  it("has a bar for every part of every day, and no markup from names", () => {
    const sums = {
      stays: 1,
      creates: 1,
      vcpu_seconds: 1,
      mem_mib_seconds: 1,
      disk_mib_seconds: 1,
      egress_bytes: 0,
      unpriced: 0,
      upper_bounds: 0,
      unconfirmed: 0,
    };
    const row = (day: string, backend: string, cost: number) => ({ ...sums, day, backend, cost_micro_usd: cost });
    const svg = usagePlot({
      from: "2026-11-01",
      to: "2026-11-03",
      by: ["day", "backend"],
      data: [row("2026-11-01", "<b>", 500_000), row("2026-11-01", "two", 250_000), row("2026-11-03", "two", 900_000)],
      total: { ...sums, cost_micro_usd: 1_650_000 },
      running: { stays: 0, reserved_micro_usd: 0 },
    });
    expect(svg.match(/<title>/g)).toHaveLength(3);
    expect(svg).toContain("2026-11-03 two: $0.90");
    expect(svg).not.toContain("<b>");
  });
});
