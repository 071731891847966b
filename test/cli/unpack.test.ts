import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BLOCK, encodeHeader, type Entry } from "../../src/tar/header.ts";
import { unpackTar, type UnpackLimits, type UnpackProgress } from "../../src/sync/tar/unpack.ts";
import { scratch } from "./scratch.ts";

type Piece = Partial<Omit<Entry, "type">> & { name: string; data?: string };

function tar(...pieces: Piece[]): Buffer {
  const parts = pieces.flatMap(({ data = "", ...entry }) => {
    const padding = Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK);
    return [encodeHeader({ flag: "0", mode: 0o644, mtime: 1, link: "", size: data.length, ...entry }), Buffer.from(data), padding];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

async function unpack(root: string, archive: Buffer, limits?: UnpackLimits): Promise<UnpackProgress> {
  const progress: UnpackProgress = { entries: 0, bytes: 0, refused: [] };
  async function* chunks() {
    for (let i = 0; i < archive.length; i += 700) yield archive.subarray(i, i + 700);
  }
  await unpackTar(chunks(), root, progress, limits);
  return progress;
}

/** A target below a directory that a hostile tar must not change. */
function arena(): { outside: string; root: string } {
  const outside = scratch();
  writeFileSync(join(outside, "sentinel"), "untouched");
  const root = join(outside, "target");
  mkdirSync(root);
  return { outside, root };
}

test("files, directories, symlinks and hard links inside the target come out as they were", async () => {
  const { root } = arena();
  const { refused } = await unpack(
    root,
    tar(
      { name: "d/", flag: "5", mode: 0o755 },
      { name: "./d/f", data: "content", mode: 0o750 },
      { name: "d/l", flag: "2", link: "../d/f" },
      { name: "h", flag: "1", link: "d/f" },
    ),
  );
  expect(refused).toEqual([]);
  expect(readFileSync(join(root, "d/f"), "utf8")).toBe("content");
  expect(statSync(join(root, "d/f")).mode & 0o7777).toBe(0o750);
  expect(readFileSync(join(root, "d/l"), "utf8")).toBe("content");
  expect(statSync(join(root, "h")).ino).toBe(statSync(join(root, "d/f")).ino);
});

const HOSTILE: [string, Piece[]][] = [
  ["an absolute path", [{ name: "/tmp/sbx-absolute-escape", data: "x" }]],
  ["a path with ..", [{ name: "../sentinel", data: "x" }]],
  ["a path with .. further in", [{ name: "a/../../sentinel", data: "x" }]],
  ["an absolute symlink", [{ name: "l", flag: "2", link: "/etc/passwd" }]],
  ["a symlink that leaves the target", [{ name: "d/l", flag: "2", link: "../../sentinel" }]],
  ["a symlink that goes up behind another name", [{ name: "d/l", flag: "2", link: "x/../../.." }]],
  ["an empty symlink", [{ name: "l", flag: "2", link: "" }]],
  ["a hard link out of the target", [{ name: "h", flag: "1", link: "../sentinel" }]],
  ["a hard link to an absolute path", [{ name: "h", flag: "1", link: "/etc/passwd" }]],
  ["a hard link to what is not there", [{ name: "h", flag: "1", link: "nothing" }]],
  ["a character device", [{ name: "null", flag: "3" }]],
  ["a block device", [{ name: "sda", flag: "4" }]],
  ["a FIFO", [{ name: "fifo", flag: "6" }]],
  ["a sparse file", [{ name: "sparse", flag: "S", data: "x" }]],
  ["a long name with ..", [{ name: `${"a".repeat(120)}/../../sentinel`, data: "x" }]],
];

test.each(HOSTILE)("%s is refused by name, and what stands beside it is copied", async (_what, pieces) => {
  const { outside, root } = arena();
  const { refused } = await unpack(root, tar(...pieces, { name: "good", data: "fine" }));
  expect(refused).toHaveLength(1);
  expect(readFileSync(join(root, "good"), "utf8")).toBe("fine");
  expect(readFileSync(join(outside, "sentinel"), "utf8")).toBe("untouched");
  expect(readdirSync(outside).toSorted()).toEqual(["sentinel", "target"]);
  expect(existsSync("/tmp/sbx-absolute-escape")).toBe(false);
});

test("a symlink of the tar's own is never written through", async () => {
  const { outside, root } = arena();
  const { refused } = await unpack(
    root,
    tar(
      { name: "here", flag: "2", link: "." },
      { name: "here/f", data: "x" },
      { name: "here", flag: "5" },
      { name: "h", flag: "1", link: "here/good" },
      { name: "good", data: "fine" },
    ),
  );
  expect(refused.map(({ name }) => name)).toEqual(["here/f", "here", "h"]);
  expect(readdirSync(root).toSorted()).toEqual(["good", "here"]);
  expect(readdirSync(outside).toSorted()).toEqual(["sentinel", "target"]);
});

test("a symlink that was there before is not followed: as a directory it is refused, as a file replaced", async () => {
  const { outside, root } = arena();
  symlinkSync(outside, join(root, "way-out"));
  symlinkSync(join(outside, "sentinel"), join(root, "file"));
  const { refused } = await unpack(root, tar({ name: "way-out/evil", data: "x" }, { name: "file", data: "new" }));
  expect(refused.map(({ name }) => name)).toEqual(["way-out/evil"]);
  expect(lstatSync(join(root, "file")).isFile()).toBe(true);
  expect(readFileSync(join(root, "file"), "utf8")).toBe("new");
  expect(readFileSync(join(outside, "sentinel"), "utf8")).toBe("untouched");
  expect(readdirSync(outside).toSorted()).toEqual(["sentinel", "target"]);
});

test("a hard link in the target shares nothing with what is written in its place", async () => {
  const { outside, root } = arena();
  execFileSync("ln", [join(outside, "sentinel"), join(root, "shared")]);
  await unpack(root, tar({ name: "shared", data: "new" }));
  expect(readFileSync(join(root, "shared"), "utf8")).toBe("new");
  expect(readFileSync(join(outside, "sentinel"), "utf8")).toBe("untouched");
});

test("set-id and sticky bits are not taken over", async () => {
  const { root } = arena();
  await unpack(root, tar({ name: "suid", mode: 0o6755, data: "x" }));
  expect(statSync(join(root, "suid")).mode & 0o7777).toBe(0o755);
});

test("a directory is never replaced by something else", async () => {
  const { root } = arena();
  mkdirSync(join(root, "d"));
  const { refused } = await unpack(root, tar({ name: "d", data: "x" }, { name: "d", flag: "2", link: "." }));
  expect(refused).toHaveLength(2);
  expect(lstatSync(join(root, "d")).isDirectory()).toBe(true);
});

test("the limits on entries and bytes end the copy with output_limit", async () => {
  const { root } = arena();
  await expect(unpack(root, tar({ name: "a", data: "x" }, { name: "b", data: "x" }), { entries: 1, bytes: 100 })).rejects.toMatchObject({
    code: "output_limit",
  });
  await expect(unpack(root, tar({ name: "big", data: "x".repeat(200) }), { entries: 10, bytes: 100 })).rejects.toMatchObject({
    code: "output_limit",
  });
  expect(existsSync(join(root, "big"))).toBe(false);
});

test("a sparse claim of 1 TiB writes nothing before it is refused", async () => {
  const { root } = arena();
  const claim = encodeHeader({ name: "bomb", flag: "0", mode: 0o644, mtime: 1, link: "", size: 1024 ** 4 });
  await expect(unpack(root, claim, { entries: 10, bytes: 1024 ** 3 })).rejects.toMatchObject({ code: "output_limit" });
  expect(readdirSync(root)).toEqual([]);
});

test.each([
  ["ends early", tar({ name: "f", data: "x".repeat(2000) }).subarray(0, 1500)],
  ["has no end mark", tar({ name: "f", data: "x" }).subarray(0, 1024)],
  ["is noise", Buffer.alloc(2048, 0x41)],
])("a tar that %s is an error, not a success", async (_what, archive) => {
  const { root } = arena();
  await expect(unpack(root, archive)).rejects.toMatchObject({ code: "internal", message: expect.stringContaining("broken tar") });
});

test("an extended header of many megabytes is refused before it is read", async () => {
  const { root } = arena();
  const header = encodeHeader({ name: "././@LongLink", flag: "L", mode: 0, mtime: 0, link: "", size: 64 * 1024 * 1024 });
  await expect(unpack(root, Buffer.concat([header, Buffer.alloc(4096, 0x61)]))).rejects.toMatchObject({
    message: expect.stringContaining("too long"),
  });
});

test.each([["gnu"], ["pax"], ["ustar"]])("what GNU tar writes in the %s format is understood", async (format) => {
  const { outside, root } = arena();
  const from = join(outside, "from");
  const deep = format === "ustar" ? "deep" : `${"long-".repeat(30)}name`;
  mkdirSync(join(from, deep), { recursive: true });
  writeFileSync(join(from, deep, "ü \n'\"$"), "content");
  symlinkSync(`${deep}/x`, join(from, "link"));
  const { refused } = await unpack(root, execFileSync("tar", ["-C", from, `--format=${format}`, "-cf", "-", "."]));
  expect(refused).toEqual([]);
  expect(readFileSync(join(root, deep, "ü \n'\"$"), "utf8")).toBe("content");
  expect(readlinkSync(join(root, "link"))).toBe(`${deep}/x`);
});
