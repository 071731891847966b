import { spawn } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Listed, Provider, SandboxSpec } from "../../../../src/contract/index.ts";
import { CREATE_FAILPOINTS } from "../../../../src/providers/local/create.ts";
import { DESTROY_FAILPOINTS } from "../../../../src/providers/local/destroy.ts";
import { mountPoints } from "../../../../src/providers/local/disk/image.ts";
import { specOf } from "../inside.ts";
import { op, Scratch } from "../scratch.ts";
import { TEST_CA } from "./ca.ts";
import { egressRuntimes } from "./runtimes.ts";

const EGRESS = { egress: { caPem: TEST_CA } };

async function listed(provider: Provider): Promise<Listed[]> {
  const all: Listed[] = [];
  for await (const one of provider.list(op())) all.push(one);
  return all;
}

describe.each(await egressRuntimes())("the life of a sandbox with egress, by %s", (runtime) => {
  const scratch = new Scratch();
  const options = { runtimes: [runtime], pool: 0 };
  let provider: Provider;
  beforeAll(async () => {
    provider = await scratch.open(options);
  });
  afterAll(() => scratch.remove());

  const names = (place: string): string[] => {
    const path = scratch.path("network", "namespaces", place);
    return existsSync(path) ? readdirSync(path) : [];
  };
  /** Namespaces by their markers, files and mounts; the last two are the same list where nothing is lost. */
  const namespaces = (): Record<string, string[]> => {
    const base = scratch.path("network", "namespaces", "mounts");
    const mounted = [...mountPoints()].filter((path) => path.startsWith(`${base}/`)).map((path) => path.slice(base.length + 1));
    const marked = [...names("making"), ...names("ready"), ...names("live").map((name) => name.split(".")[0] ?? ""), ...names("bin")];
    return { marked: marked.sort(), files: names("mounts").sort(), mounted: mounted.sort() };
  };
  const NONE = { marked: [], files: [], mounted: [] };

  /** Creates and destroys in a process of its own, which the kernel kills at that step. */
  const dieAt = async (spec: SandboxSpec, point: string): Promise<unknown> => {
    const script = `
      const { default: local } = await import(${JSON.stringify(new URL("../../../../src/providers/local/index.ts", import.meta.url).href)});
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      let armed = false;
      const failpoint = (name) => { if (armed && name === ${JSON.stringify(point)}) process.kill(process.pid, "SIGKILL"); };
      const context = { backend: "local", directory: ${JSON.stringify(scratch.directory)}, instance: ${JSON.stringify(scratch.instance)}, log, failpoint };
      const provider = await local.open(${JSON.stringify(options)}, context);
      armed = true;
      const op = { signal: new AbortController().signal, log };
      const { ref } = await provider.create(${JSON.stringify(spec)}, op);
      await provider.destroy(ref, op);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "inherit"] });
    return new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
  };

  for (const point of [...CREATE_FAILPOINTS, ...DESTROY_FAILPOINTS]) {
    test(`a kill -9 at ${point} leaves nothing that the next destroy and sweep do not take away`, async () => {
      const spec = specOf(EGRESS);
      expect(await dieAt(spec, point)).toBe("SIGKILL");
      const { marked, files, mounted } = namespaces();
      expect([files, mounted]).toEqual([marked, marked]);
      const half = (await listed(provider)).find(({ id }) => id === spec.id);
      if (half === undefined) throw new Error("it is not listed");
      expect(await provider.destroy(half, op())).toBe("destroyed");
      await provider.maintain?.(op());
      expect(namespaces()).toEqual(NONE);
      expect(await listed(provider)).toEqual([]);
    });
  }

  for (const point of CREATE_FAILPOINTS) {
    test(`a create that is aborted at ${point} leaves nothing`, async () => {
      const abort = new AbortController();
      const aborting = await scratch.open(options, (name) => {
        if (name === point) abort.abort();
      });
      const [outcome] = await Promise.allSettled([aborting.create(specOf(EGRESS), op(abort.signal))]);
      if (outcome.status === "fulfilled") await provider.destroy(outcome.value.ref, op());
      else expect(outcome.reason).toMatchObject({ code: "canceled" });
      await provider.maintain?.(op());
      expect([namespaces(), await listed(provider)]).toEqual([NONE, []]);
    });
  }

  test("twenty callers with one id make one sandbox in one namespace; another CA makes it anew", async () => {
    const spec = specOf(EGRESS);
    const all = await Promise.all(Array.from({ length: 20 }, () => provider.create(spec, op())));
    const again = await (await scratch.open(options)).create(spec, op());
    for (const { ref } of [...all, again]) expect(ref).toEqual(all[0]?.ref);
    expect(names("live")).toHaveLength(1);
    const ref = again.ref;
    const before = await provider.network?.namespace(ref, op());
    await provider.create({ ...spec, egress: { caPem: `${TEST_CA}\n` } }, op());
    expect(names("live")).toHaveLength(1);
    expect(await provider.network?.namespace(ref, op())).not.toBe(before);
    await provider.destroy(ref, op());
    await provider.maintain?.(op());
    expect(namespaces()).toEqual(NONE);
  });

  test("a namespace whose sandbox lost its record is listed and taken away", async () => {
    const { ref } = await provider.create(specOf(EGRESS), op());
    const [entry = ""] = names("live");
    await provider.destroy(ref, op());
    writeFileSync(scratch.path("network", "namespaces", "live", entry.replace(ref.id, "sbxlost")), "");
    const lost = (await listed(provider)).find(({ id }) => id === "sbxlost");
    if (lost === undefined) throw new Error("it is not listed");
    expect([await provider.destroy(lost, op()), await provider.destroy(lost, op())]).toEqual(["destroyed", "absent"]);
    await provider.maintain?.(op());
    expect(namespaces()).toEqual(NONE);
  });
});
