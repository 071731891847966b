import { afterAll, describe, test } from "vitest";
import { conformanceSuite } from "../../../src/conformance/index.ts";
import type { Provider } from "../../../src/contract/index.ts";
import type { LocalOptions } from "../../../src/providers/local/options.ts";
import { Scratch, unusable } from "./scratch.ts";

/** Runs the whole suite with one runtime and kind of disk; says why where this host has no such thing. */
export async function conformsWith(
  options: LocalOptions & { runtimes: [keyof typeof LEVELS] },
  sizes: { outputBytes?: number; fileBytes?: number } = {},
): Promise<void> {
  const [runtime] = options.runtimes;
  const name = `${runtime}, disk ${options.disk ?? "auto"}`;
  const reason = await unusable(options);
  if (reason !== undefined) {
    test.skip(`the local provider keeps the contract with ${name} (not on this host: ${reason})`);
    return;
  }
  const scratch = new Scratch();
  let provider: Promise<Provider> | undefined;
  afterAll(() => scratch.remove());
  const spec = { isolationMin: LEVELS[runtime] };
  const open = async () => ({ provider: await (provider ??= scratch.open(options)), dispose: () => Promise.resolve() });
  describe(`the local provider keeps the contract with ${name}`, () => {
    for (const { name, run } of conformanceSuite({ name: runtime, open, spec, ...sizes })) test(name, { timeout: 120_000 }, run);
  });
}

/** Without root no runtime reaches more than `process`. */
const root = process.getuid?.() === 0;
const LEVELS = { crun: root ? "container" : "process", runc: root ? "container" : "process", runsc: root ? "gvisor" : "process" } as const;
