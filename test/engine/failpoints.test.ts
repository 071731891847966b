import { describe, expect, it } from "vitest";
import { FAILPOINTS } from "../../src/engine/index.ts";
import { openBench, OWNER, run } from "./bench.ts";

describe("failpoints", () => {
  it("are all passed, in their order, by a create, an exec, a process and a destroy", async () => {
    const passed: string[] = [];
    await using bench = await openBench({ engine: { failpoint: (name) => passed.push(name) } });
    await bench.engine.profiles.apply(OWNER, { kind: "profile", name: "set", version: 1, setup: ["true"] });
    const { sandbox } = await bench.engine.create(OWNER, { profile: "set" }, {});
    await run(bench.engine, OWNER, sandbox.id, "true");
    await bench.engine.processes.start(OWNER, sandbox.id, { argv: ["true"] });
    await bench.engine.destroy(OWNER, sandbox.id);
    expect(passed.toSorted()).toEqual([...FAILPOINTS].toSorted());
    for (const verb of ["create", "exec", "process", "destroy"]) {
      const of = (names: readonly string[]) => names.filter((name) => name.startsWith(`${verb}.`));
      expect(of(passed)).toEqual(of(FAILPOINTS));
    }
  });
});
