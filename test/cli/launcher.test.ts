import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratch } from "./scratch.ts";

/** A project that holds the real launcher, and entries that say which one ran. */
function project(): { root: string; path: string; launch: (file?: string) => { code: number | null; stdout: string; stderr: string } } {
  const root = join(scratch(), "with space");
  const path = join(root, "path");
  for (const directory of ["bin", "src/cli", "dist", "path"]) mkdirSync(join(root, directory), { recursive: true });
  copyFileSync(join(import.meta.dirname, "../../bin/sand-boxer"), join(root, "bin/sand-boxer"));
  chmodSync(join(root, "bin/sand-boxer"), 0o755);
  writeFileSync(join(root, "src/cli/index.ts"), "console.log('source', process.argv.slice(2).join('|') as string);");
  for (const tool of ["readlink"]) symlinkSync(`/usr/bin/${tool}`, join(path, tool));
  return {
    root,
    path,
    launch(file = join(root, "bin/sand-boxer")) {
      const { status, stdout, stderr } = spawnSync("/bin/sh", [file, "a b", "*"], { env: { PATH: path }, encoding: "utf8" });
      return { code: status, stdout, stderr };
    },
  };
}

test("it uses the Node in PATH where that is new enough, and passes arguments as they are", () => {
  const { path, launch } = project();
  symlinkSync(process.execPath, join(path, "node"));
  expect(launch()).toMatchObject({ code: 0, stdout: "source a b|*\n" });
});

test("it prefers the project's own Node to an old one in PATH, what is built to the source, and what is bundled to both", () => {
  const { root, path, launch } = project();
  writeFileSync(join(path, "node"), "#!/bin/sh\necho 18.0.0\n", { mode: 0o755 });
  mkdirSync(join(root, "node_modules/node/bin"), { recursive: true });
  symlinkSync(process.execPath, join(root, "node_modules/node/bin/node"));
  mkdirSync(join(root, "dist/cli"));
  writeFileSync(join(root, "dist/cli/index.js"), "console.log('built')");
  expect(launch()).toMatchObject({ code: 0, stdout: "built\n" });
  mkdirSync(join(root, "dist/bundle"));
  writeFileSync(join(root, "dist/bundle/index.js"), "console.log('bundled')");
  expect(launch()).toMatchObject({ code: 0, stdout: "bundled\n" });
});

test("it finds its project through symlinks, absolute and relative", () => {
  const { root, path, launch } = project();
  symlinkSync(process.execPath, join(path, "node"));
  symlinkSync(join(root, "bin/sand-boxer"), join(path, "one"));
  symlinkSync("one", join(path, "two"));
  expect(launch(join(path, "two")).stdout).toBe("source a b|*\n");
});

test.each([
  ["an old Node", "#!/bin/sh\necho 20.19.0\n", "is 20.19.0"],
  ["no Node", undefined, "there is none in PATH"],
])("with %s it exits 125 and names the next step", (_what, node, reason) => {
  const { path, launch } = project();
  if (node !== undefined) writeFileSync(join(path, "node"), node, { mode: 0o755 });
  const { code, stderr } = launch();
  expect(code).toBe(125);
  expect(stderr).toContain(reason);
  expect(stderr).toMatch(/^next: run 'npm ci'/m);
});
