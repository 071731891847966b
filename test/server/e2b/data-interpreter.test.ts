import { Sandbox as Interpreter } from "@e2b/code-interpreter";
import { expect, test } from "vitest";
import { cleanUp, dataDirectory, localConfig } from "../../support/local-engine.ts";
import { LOCAL } from "./data-door.ts";
import { openE2bDoor } from "./e2b-door.ts";

/** What needs no server of its template's; `runCode` and contexts speak to one on port 49999. */
test("the code interpreter's SDK is refused its template by name, and in ours has commands, files and connections, but nobody who runs cells", async () => {
  const door = await openE2bDoor(
    LOCAL.length === 0 ? {} : localConfig(),
    LOCAL.length === 0 ? {} : { dataDir: dataDirectory("e2b-cells") },
  );
  try {
    const connection = await door.connection();
    await expect(Interpreter.create(connection)).rejects.toThrow(/code-interpreter-v1/);
    const sandbox = await Interpreter.create("base", connection);
    await sandbox.files.write("cell.sh", "echo $((6 * 7))");
    expect((await sandbox.commands.run("sh /home/user/cell.sh")).stdout).toBe("42\n");
    const again = await Interpreter.connect(sandbox.sandboxId, connection);
    expect(await again.files.read("cell.sh")).toBe("echo $((6 * 7))");
    // The SDK takes every 502 for a sandbox whose time is up, and adds that; ours says which port nobody listens at.
    await expect(sandbox.runCode("6 * 7")).rejects.toMatchObject({
      name: "TimeoutError",
      message: expect.stringMatching(/"message":"The sandbox is running but port is not open","port":49999,"code":502/),
    });
    expect(await sandbox.isRunning()).toBe(true);
    expect(await sandbox.kill()).toBe(true);
  } finally {
    await cleanUp(door.opened);
  }
});
