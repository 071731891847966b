import { describe, expect, test } from "vitest";
import { cleanUp, dataDirectory, localConfig } from "../../support/local-engine.ts";
import { LOCAL, titled } from "./data-door.ts";
import { openE2bDoor } from "./e2b-door.ts";

describe.each(titled(LOCAL))("a restart of the server under %s", (_, { sdk }) => {
  test("commands live on under their numbers, and how they ended while it was away is known", async () => {
    const dataDir = dataDirectory("e2b-restart");
    const before = await openE2bDoor(localConfig(), { dataDir });
    const sandbox = await sdk.Sandbox.create(await before.connection());
    const waiting = await sandbox.commands.run("read line; echo got $line", { background: true, stdin: true });
    const short = await sandbox.commands.run("exit 9", { background: true });
    await Promise.all([waiting.disconnect(), short.disconnect()]);
    await before.close();

    const after = await openE2bDoor(localConfig(), { dataDir });
    try {
      const again = await sdk.Sandbox.connect(sandbox.sandboxId, await after.connection());
      expect((await again.commands.list()).map(({ pid }) => pid)).toEqual([waiting.pid]);
      const late = await again.commands.connect(short.pid);
      expect(await late.wait().catch((error: unknown) => error)).toMatchObject({ exitCode: 9 });
      const handle = await again.commands.connect(waiting.pid);
      await again.commands.sendStdin(waiting.pid, "it\n");
      expect((await handle.wait()).stdout).toBe("got it\n");
      expect((await again.commands.run("true", { background: true })).pid).toBe(3);
    } finally {
      await cleanUp(after.opened);
    }
  }, 30_000);
});
