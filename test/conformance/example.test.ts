import { describe, test } from "vitest";
import { options } from "../../examples/provider/conformance.ts";
import { defineConformance } from "../../src/conformance/index.ts";

describe("the example of a stranger's provider keeps the contract", () => {
  defineConformance((name, run) => test(name, { timeout: 60_000 }, run), options);
});
