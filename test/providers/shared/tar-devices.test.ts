import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { withoutDevices } from "../../../src/providers/shared/tar-devices.ts";

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function through(bytes: Buffer, size: number): Promise<Buffer> {
  const out: Uint8Array[] = [];
  for await (const chunk of withoutDevices(pieces(bytes, size))) out.push(chunk);
  return Buffer.concat(out);
}

/** A real tar of files of odd sizes, with the entries that the last arguments make. */
function tarWith(...make: string[][]): Buffer {
  const directory = mkdtempSync(join(tmpdir(), "sbx-tar-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const size of [0, 1, 511, 512, 513, 70_000]) writeFileSync(join(directory, `of-${size}`), Buffer.alloc(size, 0x37));
  for (const [program = "", ...args] of make) execFileSync(program, args, { cwd: directory });
  return execFileSync("tar", ["-c", "-C", directory, "."], { maxBuffer: 1 << 24 });
}

describe("a tar on its way into a sandbox", () => {
  it.each([1, 100, 512, 1000, 65_536])("passes byte for byte, in pieces of %i", async (size) => {
    const tar = tarWith();
    expect((await through(tar, size)).equals(tar)).toBe(true);
  });

  it.each(["c", "b"])("with a device (%s) is refused, and the entry is named", async (kind) => {
    const tar = tarWith(["mknod", "zz-device", kind, "1", "3"]);
    await expect(through(tar, 700)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("zz-device") as string,
    });
  });

  it("keeps what only looks like a device inside a file", async () => {
    const inner = tarWith(["mknod", "zz-device", "c", "1", "3"]);
    const directory = mkdtempSync(join(tmpdir(), "sbx-tar-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    writeFileSync(join(directory, "inner.tar"), inner);
    const tar = execFileSync("tar", ["-c", "-C", directory, "."], { maxBuffer: 1 << 24 });
    expect((await through(tar, 4096)).equals(tar)).toBe(true);
  });

  it("is left to the unpacker where it is none", async () => {
    const noise = Buffer.from("this is no tar archive ".repeat(100));
    expect((await through(noise, 300)).equals(noise)).toBe(true);
  });
});
