import { describe, test } from "vitest";
import { conformanceSuite } from "../../src/conformance/index.ts";
import { FAKE } from "./fake-options.ts";

describe("the fake provider keeps the contract", () => {
  for (const { name, run } of conformanceSuite(FAKE)) test(name, { timeout: 60_000 }, run);
});
