import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
// In a package of its own this is "sand-boxer/conformance".
import type { ConformanceOptions } from "../../src/conformance/index.ts";
import unshare from "./index.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };

/** What the suite needs to know of this provider. */
export const options: ConformanceOptions = {
  name: "unshare",
  pace: 0.5,
  outputBytes: 20_000_000,
  async open() {
    const directory = await mkdtemp(join(tmpdir(), "unshare-"));
    const provider = await unshare.open(unshare.options.parse({}), {
      backend: "unshare",
      directory,
      instance: "test",
      log,
      failpoint() {},
    });
    return {
      provider,
      async dispose() {
        await provider.dispose?.();
        await rm(directory, { recursive: true });
      },
    };
  },
};
