import type { ConformanceOptions } from "../../src/conformance/index.ts";
import type { Provider } from "../../src/contract/index.ts";
import { open } from "../providers/fake/open.ts";

const opened = (provider: Provider) => ({ provider, dispose: async () => provider.dispose?.() });

/** The fake under the suite: in memory, so waits are short; the large output keeps its full size. */
export const FAKE: ConformanceOptions = {
  name: "fake",
  pace: 0.15,
  server: (port) => `httpd ${port}`,
  counter: "count 0.003",
  open: () => Promise.resolve(opened(open({ latency_ms: { create: 3 } }))),
  openWithBadCredentials: () =>
    Promise.resolve(
      opened(
        open({
          faults: (["create", "exec", "destroy", "list", "inspect", "files", "processes"] as const).map((on) => ({ on, kind: "auth" })),
        }),
      ),
    ),
};

/** The same suite over the fake with something broken. */
export function breaking(wrap: (provider: Provider) => Provider): ConformanceOptions {
  return { ...FAKE, name: "broken", outputBytes: 3_000_000, fileBytes: 6_000_000, open: () => Promise.resolve(opened(wrap(open()))) };
}
