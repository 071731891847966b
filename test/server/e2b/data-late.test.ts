import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { STAGES, withSandbox } from "./data-door.ts";

/** As long as E2B keeps an end. */
const KEPT_MS = 30_000;

test("how a command ended can be asked for longer than the 30 s that E2B keeps it", async () => {
  const [stage] = STAGES;
  if (stage === undefined) throw new Error("no stage");
  await withSandbox(stage, async (sandbox) => {
    const handle = await sandbox.commands.run("exit 7", { background: true });
    expect(await handle.wait().catch((error: unknown) => error)).toMatchObject({ exitCode: 7 });
    await pause(KEPT_MS + 1000);
    const late = await sandbox.commands.connect(handle.pid);
    expect(await late.wait().catch((error: unknown) => error)).toMatchObject({ exitCode: 7 });
  });
}, 60_000);
