import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SandboxerError } from "../../../src/contract/index.ts";
import { openDockerEngine, withoutEngine } from "../../support/docker-engine.ts";
import { openProvider } from "./open.ts";
import { listed, op, say, specOf } from "./stage.ts";

const program = (name: string): string => spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim();
const reason = withoutEngine() ?? (program("runsc") === "" ? "runsc is not installed" : undefined);
if (reason !== undefined) console.log(`not tested: other runtimes of a real engine: ${reason}`);

describe.skipIf(reason !== undefined)("another runtime of a real engine", () => {
  test(
    "gives its level where the kernel inside is its own and does what commands need, and is refused where it only claims to",
    { timeout: 240_000 },
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "sbx-docker-runtime-"));
      const file = join(directory, "daemon.json");
      // Debian's runsc of 2022 looks for interfaces that a container without network has not.
      const runsc = { path: program("runsc"), runtimeArgs: ["--network=none", "--ignore-cgroups"] };
      writeFileSync(file, JSON.stringify({ runtimes: { runsc, kata: { path: program("runc") } } }));
      await using engine = await openDockerEngine(["--config-file", file]);
      try {
        const gvisor = await openProvider({ host: engine.host, runtime: "runsc" });
        const spec = specOf({ isolationMin: "gvisor" });
        const outcome = await gvisor.provider.create(spec, op()).catch((thrown: unknown) => thrown as SandboxerError);
        if (outcome instanceof SandboxerError) {
          // Debian's runsc of 2022 cannot keep trees together: it is refused before anything runs in it.
          expect(outcome).toMatchObject({ code: "backend_rejected", message: expect.stringContaining("PR_SET_CHILD_SUBREAPER") });
        } else {
          expect(outcome.isolation).toMatchObject({ level: "gvisor", runtime: "runsc" });
          expect((await say(gvisor.provider, outcome.ref, "id -u")).stdout).toBe("1000\n");
          expect(await gvisor.provider.destroy(outcome.ref, op())).toBe("destroyed");
        }
        expect(await listed(gvisor.provider)).toEqual([]);
        const pretender = await openProvider({ host: engine.host, runtime: "kata" });
        await expect(pretender.provider.create(specOf({ isolationMin: "microvm" }), op())).rejects.toMatchObject({
          code: "isolation_unavailable",
        });
        expect(await listed(pretender.provider)).toEqual([]);
        await gvisor.dispose();
        await pretender.dispose();
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  );
});
