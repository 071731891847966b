import { CommandExitError, NotFoundError, TimeoutError, type CommandResult } from "e2b";
import { describe, expect, test } from "vitest";
import { STAGES, titled, until, withSandbox } from "./data-door.ts";

describe.each(titled(STAGES))("commands of %s", (_, stage) => {
  const isLocal = stage.backend === "local";

  test("a command answers with its output, its status and where it ran", () =>
    withSandbox(
      stage,
      async (sandbox) => {
        const result = await sandbox.commands.run('echo out; echo err >&2; echo "$HOME $USER $CALL $CREATE"', { envs: { CALL: "a b" } });
        expect(result).toMatchObject({ exitCode: 0, stdout: "out\n/home/user user a b c\n", stderr: "err\n" });
        expect(result.error).toBeUndefined();
        const failed = await sandbox.commands.run("echo no >&2; exit 7").catch((error: unknown) => error);
        expect(failed).toHaveProperty("name", CommandExitError.name);
        expect(failed).toMatchObject({ exitCode: 7, stderr: "no\n", error: "exit status 7" });
      },
      { envs: { CREATE: "c" } },
    ));

  test("a working directory is where a command starts, and one that is not there is refused", () =>
    withSandbox(stage, async (sandbox) => {
      await sandbox.files.makeDir("inner");
      const places = ["inner", "/home/user/inner", "~/inner"].map((cwd) => sandbox.commands.run("touch here; pwd", { cwd }));
      for (const { stdout } of await Promise.all(places)) expect(stdout).toMatch(/^\/home\/\w+\/inner\n$/);
      expect(await sandbox.files.exists("inner/here")).toBe(true);
      if (isLocal) expect((await sandbox.commands.run("pwd")).stdout).toBe("/home/user\n");
      await expect(sandbox.commands.run("true", { cwd: "/none" })).rejects.toThrow(/none/);
    }));

  test("output comes as it is written, in the order of each stream", () =>
    withSandbox(stage, async (sandbox) => {
      const seen: string[] = [];
      const handle = await sandbox.commands.run("echo one; read line; echo two $line", {
        background: true,
        stdin: true,
        onStdout: (text) => void seen.push(text),
      });
      await until(() => seen.length > 0);
      expect(seen).toEqual(["one\n"]);
      await handle.sendStdin("more\n");
      expect((await handle.wait()).stdout).toBe("one\ntwo more\n");
    }));

  test("standard input stays open until it is closed, and without one there is none", () =>
    withSandbox(stage, async (sandbox) => {
      const handle = await sandbox.commands.run("cat; echo end", { background: true, stdin: true });
      await sandbox.commands.sendStdin(handle.pid, "a");
      await handle.sendStdin("b\n");
      await handle.closeStdin();
      expect((await handle.wait()).stdout).toBe("ab\nend\n");
      expect((await sandbox.commands.run("cat; echo end")).stdout).toBe("end\n");
      await expect(handle.sendStdin("late")).rejects.toThrow(/not found/);
    }));

  test("the list has what runs, and a kill ends it", () =>
    withSandbox(stage, async (sandbox) => {
      const handle = await sandbox.commands.run("sleep 100", { background: true, cwd: "/tmp" });
      expect(await sandbox.commands.list()).toEqual([
        { pid: handle.pid, cmd: "/bin/bash", args: ["-l", "-c", "sleep 100"], envs: {}, cwd: "/tmp" },
      ]);
      expect(await sandbox.commands.kill(handle.pid)).toBe(true);
      const ended = await handle.wait().catch((error: unknown) => error);
      expect(ended).toMatchObject({ name: CommandExitError.name, exitCode: -1, error: "signal: killed" });
      expect(await sandbox.commands.list()).toEqual([]);
      expect(await sandbox.commands.kill(handle.pid)).toBe(false);
      expect(await sandbox.commands.kill(4_000_000)).toBe(false);
    }));

  test("a client that disconnects leaves the command running, and others see it end", () =>
    withSandbox(stage, async (sandbox) => {
      const first = await sandbox.commands.run("read line; echo got $line", { background: true, stdin: true });
      await first.disconnect();
      const [second, third] = [await sandbox.commands.connect(first.pid), await sandbox.commands.connect(first.pid)];
      await sandbox.commands.sendStdin(first.pid, "it\n");
      const results: CommandResult[] = await Promise.all([second.wait(), third.wait()]);
      expect(results.map(({ stdout }) => stdout)).toEqual(["got it\n", "got it\n"]);
    }));

  test("whoever connects late is told how it ended", () =>
    withSandbox(stage, async (sandbox) => {
      const handle = await sandbox.commands.run("exit 4", { background: true });
      await handle.wait().catch(() => {});
      const late = await sandbox.commands.connect(handle.pid);
      expect(await late.wait().catch((error: unknown) => error)).toMatchObject({ exitCode: 4 });
      await expect(sandbox.commands.connect(4_000_000)).rejects.toMatchObject({ name: NotFoundError.name });
    }));

  test("a command that takes longer than its timeout is killed", () =>
    withSandbox(stage, async (sandbox) => {
      await expect(sandbox.commands.run("sleep 100", { timeoutMs: 300 })).rejects.toMatchObject({ name: TimeoutError.name });
      await until(async () => (await sandbox.commands.list()).length === 0);
    }));

  test("only the sandbox's own user can be named", () =>
    withSandbox(stage, async (sandbox) => {
      expect((await sandbox.commands.run("echo yes", { user: "user" })).stdout).toBe("yes\n");
      for (const user of ["root", "nobody"])
        await expect(sandbox.commands.run("id", { user })).rejects.toMatchObject({
          name: "AuthenticationError",
          message: expect.stringContaining(`invalid username: '${user}'`),
        });
      await expect(sandbox.files.read("x", { user: "root" })).rejects.toMatchObject({ name: "AuthenticationError" });
    }));

  test("a sandbox that is killed in the middle of a command is told as gone, and stays so", () =>
    withSandbox(stage, async (sandbox) => {
      const handle = await sandbox.commands.run("sleep 100", { background: true, timeoutMs: 0 });
      expect(await sandbox.kill()).toBe(true);
      expect(await handle.wait().catch((error: unknown) => error)).toMatchObject({
        name: TimeoutError.name,
        message: expect.stringContaining("killed"),
      });
      expect(await sandbox.isRunning()).toBe(false);
      await expect(sandbox.commands.run("true")).rejects.toMatchObject({ name: "SandboxNotFoundError" });
      await expect(sandbox.files.read("x")).rejects.toMatchObject({ name: TimeoutError.name });
    }));
});
