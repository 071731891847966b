import { duplexPair } from "node:stream";
import { connect } from "node:tls";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { readHello } from "../../../../src/guard/egress/flow/client-hello.ts";

/** What OpenSSL sends. */
async function realHello(servername: string): Promise<Buffer> {
  const [mine, theirs] = duplexPair();
  const socket = connect({ socket: theirs, servername });
  socket.on("error", () => {});
  const bytes = await new Promise<Buffer>((resolve) => mine.once("data", resolve));
  socket.destroy();
  return bytes;
}

/** The same ClientHello with one more extension. */
function withExtension(hello: Buffer, extension: Buffer): Buffer {
  const copy = Buffer.concat([hello, extension]);
  const sessionId = copy[43]!;
  const suites = copy.readUInt16BE(44 + sessionId);
  const compressions = copy[46 + sessionId + suites]!;
  const at = 47 + sessionId + suites + compressions;
  copy.writeUInt16BE(copy.readUInt16BE(at) + extension.length, at);
  copy.writeUInt16BE(copy.readUInt16BE(3) + extension.length, 3);
  copy.writeUIntBE(copy.readUIntBE(6, 3) + extension.length, 6, 3);
  return copy;
}

describe("a ClientHello", () => {
  let hello: Buffer;
  beforeAll(async () => {
    hello = await realHello("allowed.test");
  });

  test("tells its server name, or that there is none", async () => {
    expect(readHello(hello)).toEqual({ serverName: "allowed.test", encrypted: false });
    expect(readHello(await realHello(""))).toEqual({ serverName: null, encrypted: false });
  });

  test("is waited for until it is whole, however it is cut into records and packets", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 0, max: hello.length }), (size, cut) => {
        const body = hello.subarray(5);
        const records: Buffer[] = [];
        for (let at = 0; at < body.length; at += size) {
          const piece = body.subarray(at, at + size);
          records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
        }
        expect(readHello(Buffer.concat(records))).toEqual({ serverName: "allowed.test", encrypted: false });
        expect(readHello(hello.subarray(0, cut))).toEqual(cut === hello.length ? { serverName: "allowed.test", encrypted: false } : "more");
      }),
    );
  });

  test("that is encrypted inside says so, whatever name it shows outside", () => {
    expect(readHello(withExtension(hello, Buffer.from([0xfe, 0x0d, 0, 1, 0])))).toEqual({ serverName: "allowed.test", encrypted: true });
  });

  test("with two server names is none", () => {
    const name = Buffer.from("denied.test");
    const extension = Buffer.concat([Buffer.from([0, 0, 0, name.length + 5, 0, name.length + 3, 0, 0, name.length]), name]);
    expect(readHello(withExtension(hello, extension))).toBe("bad");
  });

  test("of any bytes at all is read without a fault, and never as another name", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 6 }), (changes) => {
        const copy = Buffer.from(hello);
        for (const [at, value] of changes) copy[at] = value;
        const read = readHello(copy);
        if (typeof read === "string") expect(["more", "bad"]).toContain(read);
        else if (read.serverName !== null) expect(copy.includes(Buffer.from(read.serverName, "latin1"))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
