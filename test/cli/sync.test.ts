import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli, document } from "./cli.ts";
import { scratch } from "./scratch.ts";

/** A directory with some files, and a state directory of its own. */
function project() {
  const home = scratch();
  const directory = join(home, "project");
  mkdirSync(directory);
  for (const name of ["kept", "changed", "gone"]) writeFileSync(join(directory, name), "1");
  const read = (name: string) => (existsSync(join(directory, name)) ? readFileSync(join(directory, name), "utf8") : null);
  return {
    directory,
    read,
    write: (name: string, text: string) => writeFileSync(join(directory, name), text),
    env: { XDG_STATE_HOME: home },
  };
}

test("run --workspace works on a copy of the directory and brings back what the command changed, keeping what that replaced", async () => {
  const [box, { directory, read, env }] = [cli(), project()];
  const ran = await box.run(["run", "--workspace", directory, "--", "sh", "-c", "cat kept; echo 2 > changed; echo new > made; rm gone"], {
    env,
  });
  expect(ran).toMatchObject({ code: 0, stdout: "1" });
  expect([read("kept"), read("changed"), read("made"), read("gone")]).toEqual(["1", "2\n", "new\n", null]);
  const backup = /is kept in (\S+)/.exec(ran.stderr)?.[1] ?? "";
  expect([readFileSync(join(backup, "changed"), "utf8"), readFileSync(join(backup, "gone"), "utf8")]).toEqual(["1", "1"]);
});

test("run with a profile of sync: remote copies its directory in, and leaves it as it was", async () => {
  const [box, { directory, read, env }] = [cli(), project()];
  const profile = { kind: "profile", name: "seed", version: 1, workspace: { sync: "remote", path: directory } };
  writeFileSync(join(box.data, "seed.json"), JSON.stringify(profile));
  expect((await box.run(["profile", "apply", join(box.data, "seed.json")])).code).toBe(0);
  const ran = await box.run(["run", "-p", "seed", "--json", "--", "sh", "-c", "cat kept; echo 2 > changed"], { env });
  expect(document(ran)).toMatchObject({ stdout: "1", exit_code: 0 });
  expect(read("changed")).toBe("1");
});

test("sync exits 1 as long as a conflict is left, names it in --json, and settles it by --ours and --theirs", async () => {
  const [box, { directory, read, write, env }] = [cli(), project()];
  // The in-memory backend lives as long as its process does.
  await box.serve();
  const id = (await box.run(["create", "--workspace", directory], { env })).stdout.trim();
  const sync = async (...more: string[]) => box.run(["sync", id, directory, ...more], { env });
  expect(await sync()).toMatchObject({ code: 0, stdout: "" });
  write("kept", "here");
  write("changed", "here");
  rmSync(join(directory, "gone"));
  await box.run(["exec", id, "--", "sh", "-c", "echo inside > kept; echo inside > changed; echo new > made"]);
  const first = await sync("--json");
  expect(first.code).toBe(1);
  expect(document(first)).toMatchObject({
    pushed: [{ path: "gone", change: "removed" }],
    pulled: [{ path: "made", change: "created" }],
    conflicts: [
      { path: "changed", here: "modified", inside: "modified" },
      { path: "kept", here: "modified", inside: "modified" },
    ],
  });
  expect(await sync("--ours", "kept")).toMatchObject({ code: 1, stderr: expect.stringContaining("conflict: changed") as string });
  expect(await sync("--theirs", "changed")).toMatchObject({ code: 0, stdout: "<- modified  changed\n" });
  expect([read("kept"), read("changed")]).toEqual(["here", "inside\n"]);
  expect((await box.run(["exec", id, "--", "cat", "kept"])).stdout).toBe("here");
  expect(await sync("--push", "--pull")).toMatchObject({ code: 125 });
});

test("--mount without a root that allows it is refused by name, and by a backend that cannot mount as well", async () => {
  const [box, { directory, env }] = [cli(), project()];
  const ran = await box.run(["run", "--workspace", directory, "--mount", "rw", "--", "true"], { env });
  expect(ran).toMatchObject({ code: 125, stderr: expect.stringContaining("workspace.access: needs workspace.mount") as string });
  expect(await box.run(["create", "--mount", "ro"], { env })).toMatchObject({ code: 125 });
});
