import { array, assert, constantFrom, integer, property, record, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { FrameReader } from "../../../../src/providers/shared/companion/frames.ts";

const frame = record({ kind: constantFrom("s", "o", "e", "c", "x", "f", "z"), body: uint8Array({ maxLength: 300 }) });

function encode({ kind, body }: { kind: string; body: Uint8Array }): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind, "latin1");
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

test("frames come out as they went in, however the stream was cut", () => {
  assert(
    property(array(frame, { maxLength: 12 }), array(integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 20 }), (frames, cuts) => {
      const stream = Buffer.concat(frames.map(encode));
      const reader = new FrameReader();
      const out: { kind: string; body: Buffer }[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const size = cuts[turn % cuts.length] ?? 1;
        for (const { kind, body } of reader.push(stream.subarray(at, at + size))) out.push({ kind, body: Buffer.from(body) });
        at += size;
      }
      expect(out.map(encode)).toEqual(frames.map(encode));
    }),
  );
});

test.each([
  ["an unknown letter", Buffer.from("q\0\0\0\0")],
  ["a length beyond all bounds", Buffer.from("o\xff\xff\xff\xff", "latin1")],
])("%s is refused", (_name, bytes) => {
  expect(() => [...new FrameReader().push(bytes)]).toThrow("no frame");
});
