import { afterAll, describe, expect, test } from "vitest";
import { conformanceSuite } from "../../src/conformance/index.ts";
import { newId } from "../../src/contract/index.ts";
import { openRemoteFake } from "../../src/providers/fake/remote/client.ts";
import { serveFake } from "../../src/providers/fake/remote/serve.ts";
import { silent } from "../engine/bench.ts";
import { open } from "../providers/fake/open.ts";

const serving: { close: () => Promise<void> }[] = [];
afterAll(async () => {
  for (const one of serving) await one.close();
});

async function behindHttp(options: Parameters<typeof open>[0] = {}) {
  const served = await serveFake(open(options), silent);
  serving.push(served);
  const provider = await openRemoteFake(served.url, { backend: "remote" });
  return { provider, served, dispose: async () => provider.dispose?.() };
}

describe("the fake provider behind HTTP keeps the contract", () => {
  for (const { name, run } of conformanceSuite({ name: "remote fake", pace: 0.15, open: () => behindHttp({ latency_ms: { create: 3 } }) }))
    test(name, { timeout: 60_000 }, run);
});

describe("a fake backend behind HTTP that goes away", () => {
  const spec = {
    id: newId("sandbox"), tenant: "t", generation: 1, image: "host", hostname: "h", env: {}, isolationMin: "process" as const, allowPtrace: false,
    resources: { cpu: 1, memoryBytes: 1 << 28, diskBytes: 1 << 28, inodes: 1000, pids: 64 }, maxLifeAt: Date.now() + 60_000, metadata: {},
  }; // prettier-ignore
  const op = { signal: new AbortController().signal, log: silent };

  test("leaves a create that it was told of ambiguous, and answers nothing else", async () => {
    const { provider, served, dispose } = await behindHttp({ latency_ms: { create: 60_000 } });
    const creating = provider.create(spec, op);
    const told = expect(creating).rejects.toMatchObject({ code: "ambiguous_create", details: { backend: "remote" } });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await served.close();
    await told;
    await expect(provider.inspect({ ...spec, native: spec.id }, op)).rejects.toMatchObject({ code: "backend_unavailable" });
    await dispose();
  });
});
