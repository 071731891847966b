import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RCODE, readQuery, writeAnswer } from "../../../../src/guard/egress/dns/message.ts";

function query(labels: readonly string[], { type = 1, flags = 0x0100, questions = 1 } = {}): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(0xabcd, 0);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(questions, 4);
  const name = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")]));
  return Buffer.concat([header, ...name, Buffer.from([0, 0, type, 0, 1])]);
}

describe("a DNS query", () => {
  test("tells its name and type, and the answer repeats them", () => {
    const message = query(["API", "example", "test"]);
    const question = readQuery(message);
    if (typeof question !== "object") throw new Error("not read");
    expect(question).toMatchObject({ name: "API.example.test", type: 1 });
    const answer = writeAnswer(message, RCODE.ok, question, 0xc612_0001, 60);
    expect(answer.subarray(12, message.length)).toEqual(message.subarray(12));
    expect([answer.readUInt16BE(0), answer[2]! >> 7, answer[3]! & 15, answer.readUInt16BE(6), answer.subarray(-4).join(".")]).toEqual([
      0xabcd,
      1,
      0,
      1,
      "198.18.0.1",
    ]);
  });

  test("with a dot in a label, a pointer, two questions or another opcode is refused", () => {
    expect(readQuery(query(["a.allowed", "test"]))).toBe(RCODE.format);
    expect(readQuery(query(["a"], { questions: 2 }))).toBe(RCODE.format);
    expect(readQuery(query(["a"], { flags: 0x2800 }))).toBe(RCODE.notImplemented);
    const pointer = query(["a"]);
    pointer[12] = 0xc0;
    expect(readQuery(pointer)).toBe(RCODE.format);
    // An answer is not answered: two resolvers could go on for ever.
    expect(readQuery(query(["a"], { flags: 0x8180 }))).toBeUndefined();
  });

  test("of any bytes at all is read without a fault", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const message = Buffer.from(bytes);
        const read = readQuery(message);
        if (typeof read === "object") expect(read.end).toBeLessThanOrEqual(message.length);
        if (read !== undefined)
          expect(writeAnswer(message, RCODE.noName, typeof read === "object" ? read : undefined).length).toBeGreaterThanOrEqual(12);
      }),
      { numRuns: 5000 },
    );
  });
});
