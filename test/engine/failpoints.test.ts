import { describe, expect, it } from "vitest";
import { FAILPOINTS } from "../../src/engine/index.ts";
import { MemoryBoundary } from "../support/memory-boundary.ts";
import { openBench, OWNER, run } from "./bench.ts";

describe("failpoints", () => {
  it("are all passed, in their order, by a create, an exec, a process, a change of the network and a destroy", async () => {
    const passed: string[] = [];
    await using bench = await openBench({ boundary: new MemoryBoundary(), engine: { failpoint: (name) => passed.push(name) } });
    const network = { allow: [{ host: "api.example.com" }] };
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "set", version: 1, setup: ["true"], network });
    const { sandbox } = await bench.engine.create(OWNER, { profile: "set" }, {});
    await run(bench.engine, OWNER, sandbox.id, "true");
    await bench.engine.processes.start(OWNER, sandbox.id, { argv: ["true"] });
    await bench.engine.network.update(OWNER, sandbox.id, { allow: [] });
    await bench.engine.destroy(OWNER, sandbox.id);
    expect(passed.toSorted()).toEqual([...FAILPOINTS].toSorted());
    for (const verb of ["create", "exec", "process", "network", "destroy"]) {
      const of = (names: readonly string[]) => names.filter((name) => name.startsWith(`${verb}.`));
      expect(of(passed)).toEqual(of(FAILPOINTS));
    }
  });
});
