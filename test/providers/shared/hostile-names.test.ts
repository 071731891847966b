import { readdirSync, symlinkSync } from "node:fs";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pathFromBytes, pathToBytes } from "../../../src/contract/index.ts";
import { encodePath } from "../../../src/providers/shared/files-script.ts";
import { chunks, collect, op, openFiles, ref } from "./host-exec.ts";

let at: Awaited<ReturnType<typeof openFiles>>;
beforeAll(async () => {
  at = await openFiles();
});
afterAll(() => at.dispose());

const awkward = [
  "\n",
  "'",
  '"',
  "\\",
  "$(touch pwned)",
  "`touch pwned`",
  ";",
  "-",
  "--",
  "*",
  "?",
  " ",
  "\t",
  "\r",
  "\udcff",
  "\udc80",
  "é",
  "🦊",
  "%n",
  "\\0101",
  "->",
  "' -> '",
  "\udc81\udc88",
];
const piece = fc.oneof(
  fc.constantFrom(...awkward),
  fc
    .uint8Array({ minLength: 1, maxLength: 12 })
    .map((bytes) => pathFromBytes(bytes.map((byte) => (byte === 0 || byte === 47 ? 95 : byte)))),
);
const name = fc
  .array(piece, { minLength: 1, maxLength: 12 })
  .map((pieces) => pathFromBytes(pathToBytes(pieces.join("")).subarray(0, 255)))
  .filter((text) => text !== "." && text !== "..");

/** The oracle: what the host's own readdir says, in bytes. */
const onDisk = (path: string) => readdirSync(path, { encoding: "buffer" }).map((entry) => entry.toString("hex"));

describe("hostile names", () => {
  test("any name round-trips through write, list, stat, rename, read and remove, and is never run", async () => {
    await fc.assert(
      fc.asyncProperty(name, name, async (from, to) => {
        fc.pre(Buffer.compare(pathToBytes(from), pathToBytes(to)) !== 0);
        await at.files.mkdir(ref, "d", { parents: true }, op);
        await at.files.write(ref, `d/${from}`, chunks("content"), {}, op);
        expect(onDisk(`${at.workdir}/d`)).toEqual([Buffer.from(pathToBytes(from)).toString("hex")]);
        expect((await at.files.list(ref, "d", { depth: 1 }, op)).map((info) => info.name)).toEqual([from]);
        expect(await at.files.stat(ref, `d/${from}`, op)).toMatchObject({ name: from, type: "file", size: 7 });
        await at.files.rename(ref, `d/${from}`, `d/${to}`, { replace: false }, op);
        expect((await collect((await at.files.read(ref, `d/${to}`, {}, op)).body)).toString()).toBe("content");
        expect(onDisk(`${at.workdir}/d`)).toEqual([Buffer.from(pathToBytes(to)).toString("hex")]);
        await at.files.remove(ref, `d/${to}`, { recursive: false }, op);
        expect(readdirSync(at.workdir)).toEqual(["d"]);
        expect(readdirSync(`${at.workdir}/d`)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("an encoded path has nothing that a shell could read as its own", () => {
    fc.assert(fc.property(name, (text) => /^[A-Za-z0-9/._\\-]*$/.test(encodePath(text))));
  });

  test("a symlink's target is told byte for byte", async () => {
    const targets = ["a\nb", "' -> '", "//x'", "\udcff\udc80", "$(touch pwned)", "t".repeat(300)];
    for (const [index, target] of targets.entries()) symlinkSync(Buffer.from(pathToBytes(target)), `${at.workdir}/link${index}`);
    const listed = (await at.files.list(ref, ".", { depth: 1 }, op)).filter((info) => info.type === "symlink").map((info) => info.target);
    expect(listed).toEqual(targets);
    for (const [index, target] of targets.entries()) expect((await at.files.stat(ref, `link${index}`, op)).target).toBe(target);
  });
});
