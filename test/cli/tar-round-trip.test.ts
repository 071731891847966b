import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { unpackTar } from "../../src/sync/tar/unpack.ts";
import { writeTar, type WriteProgress } from "../../src/sync/tar/write.ts";
import { scratch } from "./scratch.ts";

const slash = Buffer.from("/");

/** Names that are hard to carry, as bytes. */
const NAMES: Buffer[] = [
  Buffer.from("plain"),
  Buffer.from([0xff, 0xfe, 0x80]),
  Buffer.from("with\nnewline"),
  Buffer.from("-rf"),
  Buffer.from(" spaces  "),
  Buffer.from("é".repeat(127)),
  Buffer.alloc(255, 0x61),
];

function makeTree(root: string): void {
  const deep = join(root, "deep/".repeat(60));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, "x".repeat(200)), "deep down");
  for (const [i, name] of NAMES.entries()) writeFileSync(Buffer.concat([Buffer.from(root), slash, name]), Buffer.alloc(i * 511, i));
  symlinkSync("deep/".repeat(50), join(root, "long-link"));
  mkdirSync(join(root, "empty"));
}

function expectTree(root: string): void {
  expect(readFileSync(join(root, "deep/".repeat(60), "x".repeat(200)), "utf8")).toBe("deep down");
  for (const [i, name] of NAMES.entries())
    expect(readFileSync(Buffer.concat([Buffer.from(root), slash, name])).equals(Buffer.alloc(i * 511, i))).toBe(true);
  expect(readlinkSync(join(root, "long-link"))).toBe("deep/".repeat(50));
  expect(readdirSync(join(root, "empty"))).toEqual([]);
}

test("a tree with every kind of name comes back byte for byte through our own writer and unpacker", async () => {
  const [from, to] = [scratch(), scratch()];
  makeTree(from);
  const written: WriteProgress = { entries: 0, bytes: 0, skipped: [] };
  const read = { entries: 0, bytes: 0, refused: [] };
  await unpackTar(writeTar(from, written), to, read);
  expectTree(to);
  expect(read.refused).toEqual([]);
  expect({ entries: read.entries, bytes: read.bytes }).toEqual({ entries: written.entries, bytes: written.bytes });
});

test("GNU tar unpacks what our writer writes", async () => {
  const [from, to] = [scratch(), scratch()];
  makeTree(from);
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar(from, { entries: 0, bytes: 0, skipped: [] })) chunks.push(chunk);
  execFileSync("tar", ["-C", to, "-xf", "-"], { input: Buffer.concat(chunks) });
  expectTree(to);
});

test("symlinks are packed and not followed, and what is no file is left out and named", async () => {
  const [from, to] = [scratch(), scratch()];
  writeFileSync(join(from, "f"), "x");
  execFileSync("mkfifo", [join(from, "fifo")]);
  symlinkSync("f", join(from, "link"));
  symlinkSync(".", join(from, "loop"));
  const written: WriteProgress = { entries: 0, bytes: 0, skipped: [] };
  await unpackTar(writeTar(from, written), to, { entries: 0, bytes: 0, refused: [] });
  expect(written.skipped).toEqual(["fifo"]);
  expect(readdirSync(to).toSorted()).toEqual(["f", "link", "loop"]);
});
