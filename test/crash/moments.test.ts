import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { CREATE_FAILPOINTS } from "../../src/providers/local/create.ts";
import { DESTROY_FAILPOINTS } from "../../src/providers/local/destroy.ts";
import { exactly, hostObjects } from "../support/host-objects.ts";
import { endOfChild, startChild } from "../support/killed.ts";
import { dataDirectory, liveIds, openLocal, OWNER, removeDataDirectory } from "../support/local-engine.ts";
import { CONTAINER_RUNTIMES, workingRuntimes } from "../support/runtimes.ts";

const [choice] = await workingRuntimes(...CONTAINER_RUNTIMES);
const runtime = choice?.runtime ?? "";

describe("case 70: a kill -9 of the control plane", () => {
  it.each([...CREATE_FAILPOINTS, ...DESTROY_FAILPOINTS])(
    "at %s of its first probe of the runtimes leaves nothing after the next start",
    async (failpoint) => {
      const dataDir = dataDirectory("cold");
      const child = startChild("child.ts", import.meta.url, [dataDir, runtime, failpoint, "cold"]);
      expect(await endOfChild(child)).toBe("SIGKILL");
      await using local = await openLocal("cold", { runtime, dataDir });
      expect((await local.engine.sweep({ adopt: true })).errors).toEqual([]);
      const seen = hostObjects(dataDir);
      expect(seen).toEqual(exactly([], seen));
    },
  );

  it("at twelve moments of create, exec, process and destroy, one after the other, is settled each time", async () => {
    const dataDir = dataDirectory("moments");
    try {
      const first = await openLocal("moments", { runtime, dataDir });
      await first.opened.close();
      const states = new Set<string>();
      for (let moment = 0; moment < 12; moment++) {
        const child = startChild("child.ts", import.meta.url, [dataDir, runtime, "none", `moment-${moment}`], "pipe");
        const ended = endOfChild(child);
        if (child.stdout !== null) await once(child.stdout, "data");
        await new Promise((resolve) => setTimeout(resolve, moment * 20));
        child.kill("SIGKILL");
        await ended;
        const { engine, opened } = await openLocal("moments", { runtime, dataDir });
        expect((await engine.sweep({ adopt: true })).errors).toEqual([]);
        const seen = hostObjects(dataDir);
        expect({ ...seen, helpers: [] }).toEqual(exactly(await liveIds(engine), seen));
        const [row] = (await engine.list(OWNER, { limit: 10, metadata: { key: `moment-${moment}` } })).data;
        states.add(row?.state ?? "none");
        for (const id of await liveIds(engine)) await engine.destroy(OWNER, id);
        await opened.close();
      }
      // The moments must have met the job at more than one of its stages.
      console.log(`states met: ${[...states].join(", ")}`);
      expect(states.size).toBeGreaterThan(1);
      const last = await openLocal("moments", { runtime, dataDir });
      await last.engine.sweep();
      const seen = hostObjects(dataDir);
      expect(seen).toEqual(exactly([], seen));
      await last.opened.close();
    } finally {
      removeDataDirectory(dataDir);
    }
  });
});
