import { describe, expect, it } from "vitest";
import { figure, interleaved, withWorkers } from "../../bench/figures.ts";
import { readOptions } from "../../bench/options.ts";
import { toSvg } from "../../bench/plot.ts";
import { type Results, toJson, toMarkdown } from "../../bench/report.ts";
import { beside, type Row, verdict } from "../../bench/row.ts";

const peer = { name: "raw", figure: { median: 10, p95: 20, samples: 5 } };
const slow: Row = beside(
  { case: "exec", what: "exec <true>", unit: "ms", ours: { median: 14, p95: 30, samples: 5 }, peer },
  "at_most",
  1.25,
);
const quick: Row = beside({ case: "files", what: "read", unit: "MiB/s", ours: { median: 7, p95: 8, samples: 5 }, peer }, "at_least", 0.5);
const told: Row = { case: "exec", what: "told only", unit: "ms", ours: { median: 1, p95: 1, samples: 1 } };

const results: Results = {
  taken_at: "2026-01-01T00:00:00.000Z",
  quick: true,
  seconds: 1,
  machine: {
    cores: 2, cpu: "x", memory_gib: 4, kernel: "6.1", system: "Debian", node: "24.0.0", runtimes: { crun: "1.8.1" }, cgroups: "2", favordynmods: false,
  },
  load: { before: 0.1, after: 0.2 },
  workers: 8,
  not_measured: [{ case: "docker", why: "no engine here" }],
  rows: [slow, quick, told],
}; // prettier-ignore

describe("figures", () => {
  it("give the middle of an odd number of samples and the mean of the two middle ones of an even number", () => {
    expect(figure([3, 1, 2])).toEqual({ median: 2, p95: 3, samples: 3 });
    expect(figure([4, 1, 2, 3]).median).toBe(2.5);
  });

  it("of no samples are refused", () => {
    expect(() => figure([])).toThrow("no samples");
  });

  it("are taken in turn, every other round the other way round", async () => {
    const order: string[] = [];
    const runner = (name: string) => async () => void order.push(name);
    await interleaved({ rounds: 3, seconds: 60, signal: new AbortController().signal }, runner("a"), runner("b"));
    expect(order.join("")).toBe("abbaab");
  });

  it("of a burst end with its first failure, when every worker has stopped", async () => {
    let running = 0;
    const job = async (index: number): Promise<void> => {
      running++;
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      if (index === 3) throw new Error("the fourth");
    };
    await expect(withWorkers(20, 4, new AbortController().signal, job)).rejects.toThrow("the fourth");
    expect(running).toBe(0);
  });
});

describe("results", () => {
  it("say which targets were met, whichever way they point", () => {
    expect([slow, quick, told].map(verdict)).toEqual(["missed", "met", "for information"]);
  });

  it("stand in a table with their ratio, target and verdict, and name what was not measured", () => {
    const text = toMarkdown(results);
    expect(text).toContain("| exec <true> | 14.0 ms (p95 30.0) | 10.0 ms (p95 20.0) | 1.40 x | ≤ 1.25 x raw | missed: 1.40 | 5 |");
    expect(text).toContain("| told only | 1.00 ms |  |  |  |  | 1 |");
    expect(text).toContain("Not measured: docker: no engine here.");
  });

  it("are a JSON document with the same in it", () => {
    const { rows } = JSON.parse(toJson(results)) as { rows: { ratio: number | null; verdict: string }[] };
    expect(rows.map(({ ratio, verdict }) => [ratio, verdict])).toEqual([[1.4, "missed"], [0.7, "met"], [null, "for information"]]); // prettier-ignore
  });

  it("are drawn with one bar for each target, one line for all targets, and escaped names", () => {
    const svg = toSvg(results.rows, "a caption");
    expect(svg.match(/<rect [^>]*rx="2"/g)).toHaveLength(2);
    expect(svg).toContain("exec &lt;true&gt;");
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(1);
    expect(svg).not.toContain("told only");
  });
});

describe("options", () => {
  it("name the cases there are when one is not known", () => {
    expect(() => readOptions(["--only", "exec,speed"], "out")).toThrow(/no case speed; there are: lifecycle, exec/);
  });

  it("take all cases unless told otherwise", () => {
    expect(readOptions([], "out").cases).toContain("burst");
    expect(readOptions(["--only", "exec,idle", "--quick"], "out")).toMatchObject({ cases: ["exec", "idle"], quick: true });
  });
});
