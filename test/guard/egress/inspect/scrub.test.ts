import { array, assert, constantFrom, nat, pre, property, tuple } from "fast-check";
import { expect, it } from "vitest";
import { bodyScan, type Pass } from "../../../../src/guard/egress/inspect/body-scan.ts";
import { exposure } from "../../../../src/guard/egress/inspect/scrub.ts";
import { secret } from "./stage.ts";

const VALUE = "aabaab-value";
const LONGER = `${VALUE}-and-more`;

/** A text in pieces, cut wherever. */
const cutText = (words: readonly string[]) =>
  tuple(array(constantFrom(...words), { maxLength: 12 }), array(nat(80), { maxLength: 12 })).map(([parts, cuts]) => {
    const text = parts.join("");
    const at = [...new Set(cuts.filter((cut) => cut < text.length))].toSorted((one, other) => one - other);
    return { text, pieces: [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length)) };
  });

function through(pass: Pass, pieces: readonly string[]): string {
  const out = pieces.map((piece) => pass(Buffer.from(piece), false));
  return Buffer.concat([...out, pass(Buffer.alloc(0), true)]).toString();
}

it("a value that comes back is replaced wherever the pieces of the answer are cut, and nothing else changes", () => {
  assert(
    property(cutText(["a", "aab", VALUE, LONGER, "-and-more", "other ", VALUE.slice(0, 7)]), ({ text, pieces }) => {
      const exposed = exposure();
      exposed.add([{ text: VALUE, standIn: "<short>" }, { text: LONGER, standIn: "<long>" }]); // prettier-ignore
      expect(through(exposed.stream(), pieces)).toBe(text.replaceAll(LONGER, "<long>").replaceAll(VALUE, "<short>"));
    }),
    { numRuns: 2000 },
  );
});

it("a placeholder of a body is replaced wherever its pieces are cut", () => {
  const bound = secret();
  const { placeholder } = bound.binding;
  assert(
    property(cutText(["s", "sbx_", "sbx_secret_", placeholder, "sbx_secret_short ", "text"]), ({ text, pieces }) => {
      pre(!/sbx_secret_(?!0123456789abcdefghijABCDEFGHIJ01)[A-Za-z0-9_-]{16}/.test(text));
      const scan = bodyScan({ all: [bound], replaced: [bound], contentType: undefined, onPutIn: () => {} });
      expect(through(scan, pieces)).toBe(text.replaceAll(placeholder, bound.value));
    }),
    { numRuns: 2000 },
  );
});

it("another sandbox's placeholder is found wherever the pieces are cut", () => {
  const foreign = "sbx_secret_ZZZZZZZZZZZZZZZZZZZZZZZZ";
  assert(
    property(cutText(["s", "sbx_secret", foreign, "text "]), ({ text, pieces }) => {
      pre(text.includes(foreign));
      const scan = bodyScan({ all: [secret()], replaced: [], contentType: undefined, onPutIn: () => {} });
      expect(() => through(scan, pieces)).toThrow("not of this sandbox");
    }),
  );
});
