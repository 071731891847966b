import { describe, test } from "vitest";
import { options } from "../../examples/provider/conformance.ts";
import { conformanceSuite } from "../../src/conformance/index.ts";
import type { ConformanceOptions } from "../../src/conformance/index.ts";
import type { Provider } from "../../src/contract/index.ts";
import { filesOverExec } from "../../src/providers/shared/files-over-exec.ts";

/** The example's provider with files over its own exec. */
function withFiles(provider: Provider, busybox: string | undefined): Provider {
  const exec: Provider["exec"] = (...args) => provider.exec(...args);
  return {
    traits: {
      ...provider.traits,
      capabilities: {
        ...provider.traits.capabilities,
        "fs.rw": "emulated",
        "fs.tree": "emulated",
        "fs.stream": "emulated",
        "fs.watch": "emulated",
      },
    },
    create: (...args) => provider.create(...args),
    exec,
    destroy: (...args) => provider.destroy(...args),
    list: (...args) => provider.list(...args),
    inspect: (...args) => provider.inspect(...args),
    files: filesOverExec({ exec, workdir: "/mnt", ...(busybox === undefined ? {} : { busybox }) }),
  };
}

describe.each([
  ["a trusted busybox", "/usr/bin/busybox"],
  ["the image's own tools", undefined],
])("files over exec keep the contract with %s", (_which, busybox) => {
  const over: ConformanceOptions = {
    ...options,
    async open() {
      const { provider, dispose } = await options.open();
      return { provider: withFiles(provider, busybox), dispose };
    },
  };
  for (const { name, capability, run } of conformanceSuite(over))
    if (capability?.startsWith("fs.") === true) test(name, { timeout: 60_000 }, run);
});
