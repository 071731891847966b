import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { readPrices } from "../../../src/configuration.ts";
import { type BackendConfig, Config, parse, PriceBook } from "../../../src/contract/index.ts";

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

function read(backends: BackendConfig[] | undefined, book?: string) {
  const directory = mkdtempSync(join(tmpdir(), "sbx-prices-"));
  directories.push(directory);
  if (book !== undefined) writeFileSync(join(directory, "prices.yaml"), book);
  const config = parse(
    Config,
    { ...(backends === undefined ? {} : { backends }), ...(book === undefined ? {} : { prices: "prices.yaml" }) },
    { what: "configuration" },
  );
  return readPrices(directory, config);
}

const own = (vcpu: number) => `
currency: USD
prices:
  e2b: { vcpu_hour: ${vcpu}, gb_hour: 0.01, cpu_basis: allocated, effective: "2026-10", source: our contract, confidence: high }
  our-rack: { vcpu_hour: 0.02, gb_hour: 0.003, cpu_basis: allocated, effective: "2026-10", source: our own, confidence: high }
`;

describe("the price book", () => {
  it("that is shipped is whole, and says of each price since when, by whom and how sure", () => {
    const book = parse(PriceBook, JSON.parse(readFileSync("prices.json", "utf8")), { what: "prices.json" });
    expect(Object.keys(book.prices)).toEqual(expect.arrayContaining(["e2b", "local", "modal", "vercel"]));
    expect(Object.keys(book.prices)).toEqual(Object.keys(book.prices).toSorted());
  });

  it("gives a backend its provider's price, the host's none, and says of an unknown one that it is not known", () => {
    const prices = read([
      { name: "cloud", provider: "e2b" },
      { name: "here", provider: "local" },
      { name: "odd", provider: "./mine.js" },
    ]);
    expect(prices.of("cloud")).toMatchObject({ vcpu_hour: 0.0504, source: "e2b.dev/docs/faq/calculate-sandbox-price" });
    expect(prices.of("here")).toMatchObject({ vcpu_hour: 0, gb_hour: 0 });
    expect(prices.of("odd")).toBeNull();
    expect(prices.of("nobody")).toBeNull();
    expect(read(undefined).of("local")).toMatchObject({ vcpu_hour: 0 });
  });

  it("has an operator's file before it, entry by entry", () => {
    const prices = read([{ name: "cloud", provider: "e2b" }, { name: "m", provider: "modal" }], own(0.04)); // prettier-ignore
    expect(prices.of("cloud")).toMatchObject({ vcpu_hour: 0.04, source: "our contract" });
    expect(prices.of("m")).toMatchObject({ vcpu_hour: 0.071 });
  });

  it("takes a backend's own terms over its provider's, or a key", () => {
    const prices = read(
      [
        { name: "here", provider: "local", price: { vcpu_hour: 0.005 } },
        { name: "rack", provider: "./mine.js", price: "our-rack" },
        { name: "flat", provider: "./mine.js", price: { vcpu_hour: 0.1, gb_hour: 0 } },
      ],
      own(0.04),
    );
    expect(prices.of("here")).toMatchObject({ vcpu_hour: 0.005, gb_hour: 0, source: "the configuration" });
    expect(prices.of("rack")).toMatchObject({ vcpu_hour: 0.02 });
    expect(prices.of("flat")).toMatchObject({ vcpu_hour: 0.1, cpu_basis: "allocated" });
  });

  it.each([
    ["a key that no book has", [{ name: "rack", provider: "fake", price: "our-rak" }], own(0.04), 'nearest: "our-rack"'],
    ["terms that are not whole", [{ name: "rack", provider: "fake", price: { vcpu_hour: 1 } }], undefined, "gb_hour"],
    ["a negative price", [{ name: "cloud", provider: "e2b" }], own(-1), "vcpu_hour"],
    ["two prices of one backend", [{ name: "cloud", provider: "e2b" }], own(1) + own(1).split("\n").slice(3).join("\n"), "unique"],
  ])("refuses %s when it is opened, naming it", (_what, backends, book, message) => {
    expect(() => read(backends, book)).toThrow(message);
  });
});
