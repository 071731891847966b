import { describe, test } from "vitest";
import { conformanceSuite } from "../../../src/conformance/index.ts";
import type { Provider } from "../../../src/contract/index.ts";
import e2b from "../../../src/providers/e2b/index.ts";

const { E2B_API_KEY: key = "" } = process.env;
if (key === "")
  console.log("not tested at E2B itself: E2B_API_KEY is not set. With it some 80 sandboxes are made there, for a few seconds each.");

const log = { debug() {}, info() {}, warn() {}, error() {} };
const context = { backend: "e2b", directory: "", instance: `live-${Date.now()}`, log, failpoint() {} };

/** One for all cases, so that creates keep apart as a free account's must. */
let provider: Promise<Provider> | undefined;

describe.skipIf(key === "")("the E2B provider keeps the contract at E2B itself", () => {
  const options = {
    name: "e2b",
    open: async () => ({ provider: await (provider ??= e2b.open({}, context)), dispose: () => Promise.resolve() }),
    spec: { isolationMin: "microvm" },
    outputBytes: 20_000_000,
    fileBytes: 8 * 1024 ** 2,
    pace: 3,
  } as const;
  for (const { name, run } of conformanceSuite(options)) test(name, { timeout: 300_000 }, run);
});
