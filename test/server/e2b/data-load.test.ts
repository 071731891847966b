import { monitorEventLoopDelay } from "node:perf_hooks";
import { Sandbox } from "e2b";
import { expect, test } from "vitest";
import { LOCAL, STAGES } from "./data-door.ts";
import { openE2bDoor, SDKS } from "./e2b-door.ts";
import { cleanUp, dataDirectory, localConfig } from "../../support/local-engine.ts";

/** Client and server share this process, so the figure is an upper bound of the server's own. */
function printed(what: string, delay: ReturnType<typeof monitorEventLoopDelay>): void {
  delay.disable();
  console.log(
    `${what}: event loop p50 ${Math.round(delay.percentile(50) / 1e6)} ms, p99 ${Math.round(delay.percentile(99) / 1e6)} ms, longest ${Math.round(delay.max / 1e6)} ms`,
  );
}

async function many(sandboxes: Sandbox[], commands: number): Promise<void> {
  const work = sandboxes.flatMap((sandbox, index) =>
    Array.from({ length: commands }, async (_, number) => {
      const { stdout } = await sandbox.commands.run(`echo ${index}-${number}; seq 1 200`);
      return stdout.startsWith(`${index}-${number}\n1\n`) && stdout.endsWith("\n200\n");
    }),
  );
  expect((await Promise.all(work)).every(Boolean)).toBe(true);
}

test("50 sandboxes take 500 commands at once, and each answer is that of its own command", async () => {
  expect(STAGES[0]?.sdk).toBe(SDKS[0]);
  const door = await openE2bDoor();
  const connection = await door.connection();
  const sandboxes = await Promise.all(Array.from({ length: 50 }, () => Sandbox.create(connection)));
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await many(sandboxes, 10);
  printed("fake, 500 commands at once", delay);
}, 60_000);

test.skipIf(LOCAL.length === 0)(
  "over the local provider 4 sandboxes take 40 commands at once",
  async () => {
    const door = await openE2bDoor(localConfig(), { dataDir: dataDirectory("e2b-load") });
    try {
      const connection = await door.connection();
      const sandboxes = await Promise.all(Array.from({ length: 4 }, () => Sandbox.create(connection)));
      const delay = monitorEventLoopDelay({ resolution: 5 });
      delay.enable();
      await many(sandboxes, 10);
      printed("local, 40 commands at once", delay);
    } finally {
      await cleanUp(door.opened);
    }
  },
  60_000,
);
