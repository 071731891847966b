import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli } from "./cli.ts";

test("commands, options, live sandboxes and profiles are completed", async () => {
  const box = cli();
  await box.serve();
  const id = (await box.run(["create"])).stdout.trim();
  const complete = async (...words: string[]) => (await box.run(["__complete", ...words])).stdout.trim().split("\n");
  expect(await complete("r")).toEqual(["run", "rm", "renew", "resume", "route"]);
  expect(await complete("run", "--prof")).toEqual(["--profile"]);
  expect(await complete("run", "--profile", "def")).toEqual(["default", "default@1"]);
  expect(await complete("exec", "")).toEqual([id]);
  expect(await complete("rm", id, "sb")).toEqual([id]);
  expect(await complete("keys", "c")).toEqual(["create"]);
  expect(await complete("run", "--", "x")).toEqual([""]);
});

test("the bash script completes in a real bash", async () => {
  const box = cli();
  const { stdout: script } = await box.run(["completion", "bash"]);
  const bin = join(box.data, "bin");
  mkdirSync(bin);
  writeFileSync(
    join(bin, "sand-boxer"),
    `#!/bin/sh\nexec "${process.execPath}" "${join(import.meta.dirname, "../../src/cli/index.ts")}" "$@"\n`,
  );
  chmodSync(join(bin, "sand-boxer"), 0o755);
  const probe = `${script}\nCOMP_WORDS=(sand-boxer run --prof); COMP_CWORD=2; _sand_boxer; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const answer = execFileSync("bash", ["-c", probe], {
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}`, SANDBOXER_DATA: box.data },
  });
  expect(answer.toString()).toBe("--profile\n");
});
