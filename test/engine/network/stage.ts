import { type Bench, type BenchOptions, openBench, OWNER } from "../bench.ts";
import { MemoryBoundary } from "../../support/memory-boundary.ts";

/** A bench whose backends have egress through a boundary in memory, with a profile `net` that allows two hosts. */
export async function openStage(
  options: BenchOptions = {},
  boundary: MemoryBoundary = new MemoryBoundary(),
): Promise<Bench & { boundary: MemoryBoundary }> {
  const bench = await openBench({ ...options, boundary });
  await bench.engine.profiles.apply(OWNER, NET);
  return { ...bench, boundary, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

export const NET = {
  kind: "profile",
  name: "net",
  version: 1,
  network: { allow: [{ host: "api.example.com" }, { host: "*.example.org", ports: [443, 8443] }], limits: { bytes: "1MiB" } },
};

/** What was thrown. */
export async function thrownBy(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("it did not throw");
}
