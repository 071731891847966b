import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cli, document, type Cli } from "./cli.ts";
import { scratch } from "./scratch.ts";

async function served(): Promise<{ box: Cli; id: string; here: string }> {
  const box = cli();
  await box.serve();
  return { box, id: (await box.run(["create"])).stdout.trim(), here: scratch() };
}

test("a file goes in and out unchanged, with its mode", async () => {
  const { box, id, here } = await served();
  const bytes = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) & 255));
  writeFileSync(join(here, "in.bin"), bytes, { mode: 0o750 });
  expect((await box.run(["cp", join(here, "in.bin"), `${id}:data/renamed.bin`])).code).toBe(0);
  expect((await box.run(["cp", `${id}:data/renamed.bin`, join(here, "out.bin")])).code).toBe(0);
  expect(readFileSync(join(here, "out.bin")).equals(bytes)).toBe(true);
  expect((await box.run(["cp", `${id}:data/renamed.bin`, here])).code).toBe(0);
  expect(existsSync(join(here, "renamed.bin"))).toBe(true);
});

test("a tree goes in and out with its symlinks and odd names", async () => {
  const { box, id, here } = await served();
  const tree = join(here, "tree");
  mkdirSync(join(tree, "sub dir/deeper"), { recursive: true });
  writeFileSync(join(tree, "sub dir/deeper/ü\n%20"), "odd");
  symlinkSync("sub dir/deeper", join(tree, "link"));
  expect((await box.run(["cp", tree, `${id}:`])).code).toBe(0);
  const ran = await box.run(["cp", "--json", `${id}:tree`, join(here, "back")]);
  expect(document(ran)).toMatchObject({ refused: [] });
  expect(readFileSync(join(here, "back/link/ü\n%20"), "utf8")).toBe("odd");
});

test("SRC/. copies what is in a directory", async () => {
  const { box, id, here } = await served();
  mkdirSync(join(here, "d"));
  writeFileSync(join(here, "d/f"), "x");
  expect((await box.run(["cp", `${join(here, "d")}/.`, `${id}:target`])).code).toBe(0);
  mkdirSync(join(here, "out"));
  expect((await box.run(["cp", `${id}:target/.`, join(here, "out")])).code).toBe(0);
  expect(readdirSync(join(here, "out"))).toEqual(["f"]);
});

test("a symlink that leads out of the target is refused by name, the rest is copied, and cp exits 125", async () => {
  const { box, id, here } = await served();
  await box.run(["exec", id, "--", "sh", "-c", "mkdir t; echo fine > t/good; ln -s /etc/passwd t/absolute; ln -s ../../.. t/up"]);
  const ran = await box.run(["cp", `${id}:t`, join(here, "out")]);
  expect(ran.code).toBe(125);
  expect(ran.stderr).toContain("not copied: absolute");
  expect(ran.stderr).toContain("not copied: up");
  expect(readdirSync(join(here, "out"))).toEqual(["good"]);
});

test("a copy out stops at --max-size and leaves no half file", async () => {
  const { box, id, here } = await served();
  writeFileSync(join(here, "big"), Buffer.alloc(100_000));
  await box.run(["cp", join(here, "big"), `${id}:big`]);
  const ran = await box.run(["cp", "--max-size", "1000", `${id}:big`, join(here, "out")]);
  expect(ran.code).toBe(125);
  expect(ran.stderr).toContain("error[output_limit]");
  expect(readdirSync(here)).toEqual(["big"]);
});

test.each([
  [["cp", "a", "b"], "exactly one"],
  [["cp", "missing-here", "ID:"], "file_not_found"],
  [["cp", "ID:missing-there", "."], "file_not_found"],
] as const)("%j is refused", async (args, reason) => {
  const { box, id, here } = await served();
  const ran = await box.run(
    args.map((arg) => arg.replace("ID", id)),
    { cwd: here },
  );
  expect(ran.code).toBe(125);
  expect(ran.stderr).toContain(reason);
});
