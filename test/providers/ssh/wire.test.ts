import { describe, expect, it } from "vitest";
import { HostFrameReader, packWords, unpackWords } from "../../../src/providers/ssh/wire.ts";

function frame(channel: number, kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt32BE(channel, 0);
  head.write(kind, 4, "latin1");
  head.writeUInt32BE(body.length, 5);
  return Buffer.concat([head, body]);
}

describe("frames of a host", () => {
  it("say the same wherever they are cut", () => {
    const sent = Buffer.concat([
      frame(0, "h", packWords(["6.1", "é"])),
      frame(7, "o", Buffer.from("output of seven")),
      frame(8, "e", Buffer.alloc(0)),
      frame(7, "x", Buffer.from([0, 0, 1, 0])),
    ]);
    for (const size of [1, 2, 3, 8, 9, 10, 17, sent.length]) {
      const reader = new HostFrameReader();
      const told = new Map<string, Buffer>();
      for (let at = 0; at < sent.length; at += size)
        for (const { channel, kind, body } of reader.push(sent.subarray(at, at + size)))
          told.set(`${channel}${kind}`, Buffer.concat([told.get(`${channel}${kind}`) ?? Buffer.alloc(0), body]));
      expect([...told.keys()]).toEqual(["0h", "7o", "7x"]);
      expect(unpackWords(told.get("0h") ?? Buffer.alloc(0))).toEqual(["6.1", "é"]);
      expect([told.get("7o")?.toString(), told.get("7x")?.readUInt32BE(0)]).toEqual(["output of seven", 256]);
    }
  });

  it("are told from what a login prints, and words that are cut short are no words", () => {
    expect(() => new HostFrameReader().push(Buffer.from("Welcome to box1!\n"))).toThrow(/no frame.*Welcome/);
    expect(() => unpackWords(packWords(["whole"]).subarray(0, 7))).toThrow(/cannot be read/);
  });
});
