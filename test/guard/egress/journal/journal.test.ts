import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NetworkVerdict } from "../../../../src/contract/network.ts";
import { Journal } from "../../../../src/guard/egress/journal/journal.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sbx-journal-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const verdict = (seq: number, detail = "d"): NetworkVerdict => ({
  seq, at: "2026-01-01T00:00:00.000Z", sandbox_id: "sbx_a", protocol: "tls", via: "connect", host: "a.test", port: 443, address: null, method: null, path: null,
  verdict: "deny", rule: null, reason: "no_rule", detail, secret: null, bytes_up: 0, bytes_down: 0, ms: 0,
}); // prettier-ignore
const seqs = (entries: readonly NetworkVerdict[]): number[] => entries.map(({ seq }) => seq);

describe("the journal of verdicts", () => {
  test("is read from a cursor on, page by page, to its end and further when there is more", () => {
    const journal = new Journal(directory);
    for (let seq = 1; seq <= 5; seq++) journal.append(verdict(seq));
    const first = journal.read(null, 2);
    const second = journal.read(first.cursor, 10);
    const end = journal.read(second.cursor, 10);
    journal.append(verdict(6));
    expect([first, second, end, journal.read(end.cursor, 10)].map(({ entries }) => seqs(entries))).toEqual([[1, 2], [3, 4, 5], [], [6]]);
    journal.close();
  });

  test("goes on after a crash that tore a line", () => {
    const journal = new Journal(directory);
    journal.append(verdict(1));
    const { cursor } = journal.read(null, 10);
    journal.close();
    appendFileSync(join(directory, "1.jsonl"), '{"seq":2,"torn');
    const again = new Journal(directory);
    again.append(verdict(3));
    expect(seqs(again.read(cursor, 10).entries)).toEqual([3]);
    expect(again.lastSeqs().get("sbx_a")).toBe(3);
    again.close();
  });

  test("has a bound: the oldest entries go, and what is left has no gap in it", () => {
    const journal = new Journal(directory);
    const detail = "x".repeat(100_000);
    const { cursor } = journal.read(null, 1);
    for (let seq = 1; seq <= 900; seq++) {
      journal.append(verdict(seq, detail));
      journal.flush();
    }
    const size = readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
    expect(size).toBeLessThanOrEqual(64 * 1024 ** 2);
    let at = journal.read(cursor, 100);
    const [first = 0] = seqs(at.entries);
    expect(first).toBeGreaterThan(1);
    const all: number[] = [];
    for (; at.entries.length > 0; at = journal.read(at.cursor, 100)) all.push(...seqs(at.entries));
    expect(all).toEqual(Array.from({ length: 901 - first }, (_, index) => first + index));
    journal.close();
  });

  test("refuses what is no cursor", () => {
    const journal = new Journal(directory);
    for (const cursor of ["", "x", "1", "1.2.3", "-1.0"]) expect(() => journal.read(cursor, 1)).toThrow(/cursor/);
    journal.close();
  });
});
