import { SandboxerError } from "../../contract/index.ts";

const BLOCK = 512;
const DEVICES: Readonly<Record<string, string>> = { "3": "a character device", "4": "a block device" };

/**
 * Passes a tar through and stops at a device. Nothing inside may make one, and the sandbox's tar leaves them out without a word: an
 * archive that holds one must not look unpacked. What cannot be followed (no tar at all, sizes only a pax header tells) is left to
 * the unpacker.
 *
 * @throws SandboxerError `invalid_request` naming the entry.
 */
export async function* withoutDevices(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let header = Buffer.alloc(0);
  let skip = 0;
  let lost = false;
  for await (const chunk of tar) {
    for (let at = 0; at < chunk.length && !lost;) {
      if (skip > 0) {
        const passed = Math.min(skip, chunk.length - at);
        skip -= passed;
        at += passed;
        continue;
      }
      const piece = chunk.subarray(at, at + BLOCK - header.length);
      header = Buffer.concat([header, piece]);
      at += piece.length;
      if (header.length < BLOCK) continue;
      const size = sizeOf(header);
      if (size === undefined) lost = true;
      else skip = Math.ceil(size / BLOCK) * BLOCK;
      header = Buffer.alloc(0);
    }
    yield chunk;
  }
}

/** Bytes that follow a header; undefined where it is none. Throws for a device. */
function sizeOf(header: Buffer): number | undefined {
  if (header.every((byte) => byte === 0)) return 0;
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  if (sum !== octal(header, 148, 8)) return undefined;
  const device = DEVICES[header.toString("latin1", 156, 157)];
  if (device !== undefined) {
    const name = header.toString("utf8", 0, header.indexOf(0) === -1 ? 100 : Math.min(100, header.indexOf(0)));
    throw new SandboxerError("invalid_request", `the archive holds ${device}, ${JSON.stringify(name)}, which a sandbox may not have`, {
      phase: "files",
      hint: "Make the archive without it; what came before it in the archive is unpacked.",
    });
  }
  // A binary number, as GNU tar writes sizes from 8 GiB on.
  if ((header[124] ?? 0) >= 0x80) return Number(header.readBigUInt64BE(128));
  return octal(header, 124, 12);
}

function octal(header: Buffer, offset: number, length: number): number | undefined {
  const digits = header.toString("latin1", offset, offset + length).replaceAll(/[\0 ]/g, "");
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits === "" ? "0" : digits, 8) : undefined;
}
