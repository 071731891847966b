import * as fc from "fast-check";
import { expect, test } from "vitest";
import { multipartFiles } from "../../../src/server/e2b/data/files/multipart.ts";

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(bytes: Uint8Array, type: string, sizes: readonly number[]) {
  const parts: { name: string; filename: string | undefined; data: Buffer }[] = [];
  const boundary = /boundary=(\S+)/.exec(type)?.[1] ?? "";
  for await (const { name, filename, body } of multipartFiles(cut(bytes, sizes), boundary)) {
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    parts.push({ name, filename, data: Buffer.concat(pieces) });
  }
  return parts;
}

test("whatever a form's encoder writes is read back, wherever its bytes are cut", async () => {
  const file = fc.record({
    filename: fc.string({ minLength: 1, maxLength: 20 }).filter((name) => name.isWellFormed() && !/[\\\0]|%0[AD]|%22/i.test(name)),
    data: fc.uint8Array({ maxLength: 200 }),
  });
  const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 4 }), sizes, async (files, chosen) => {
      const form = new FormData();
      for (const { filename, data } of files) form.append("file", new Blob([new Uint8Array(data)]), filename);
      const encoded = new Response(form);
      const type = encoded.headers.get("content-type") ?? "";
      const parts = await read(new Uint8Array(await encoded.arrayBuffer()), type, chosen);
      expect(parts.map(({ filename }) => filename)).toEqual(files.map(({ filename }) => filename));
      expect(parts.map(({ data }) => new Uint8Array(data))).toEqual(files.map(({ data }) => new Uint8Array(data)));
    }),
    { numRuns: 200 },
  );
});

test("a form that is cut short, or none at all, is refused", async () => {
  const whole = Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\ndata\r\n--b--\r\n');
  expect(await read(whole, "boundary=b", [7])).toEqual([{ name: "file", filename: "f", data: Buffer.from("data") }]);
  for (let length = 0; length < whole.length - 4; length++)
    await expect(read(whole.subarray(0, length), "boundary=b", [7])).rejects.toMatchObject({ code: "invalid_request" });
  await expect(read(Buffer.from("plain text"), "boundary=b", [3])).rejects.toMatchObject({ code: "invalid_request" });
});
