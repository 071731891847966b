import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline, type Readable, type Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { type Allowance, refused } from "./limits.ts";

const MAGIC: readonly { readonly name: string; readonly bytes: string; readonly open?: () => Transform }[] = [
  { name: "gzip", bytes: "1f8b", open: createGunzip },
  { name: "zstd", bytes: "28b52ffd", open: createZstdDecompress },
  { name: "xz", bytes: "fd377a585a00" },
  { name: "bzip2", bytes: "425a68" },
];

async function firstBytes(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(6), 0, 6, 0);
    return buffer.subarray(0, bytesRead).toString("hex");
  } finally {
    await handle.close();
  }
}

/** What a tar is known by before it is read. */
export interface Expected {
  /** Of the file as it is. */
  readonly digest?: string;
  /** Of the tar in it. */
  readonly diffId?: string;
}

/** A tar in a file, plain or compressed by gzip or zstd. */
export class TarFile {
  readonly #file: string;
  readonly #expected: Expected;
  /** Of the tar itself, once it was read to its end. */
  diffId = "";

  constructor(file: string, expected: Expected = {}) {
    this.#file = file;
    this.#expected = expected;
  }

  /** Its bytes, uncompressed. Ends with an error where a digest is another than the expected: whoever read it throws away what was made of it. */
  async *read(allowance?: Allowance): AsyncGenerator<Buffer, void, undefined> {
    const start = await firstBytes(this.#file);
    const kind = MAGIC.find(({ bytes }) => start.startsWith(bytes));
    if (kind !== undefined && kind.open === undefined)
      throw refused(`it is compressed by ${kind.name}; gzip, zstd and plain tars are understood`);
    const [outer, inner] = [createHash("sha256"), createHash("sha256")];
    const source = createReadStream(this.#file, { highWaterMark: 1024 ** 2 });
    source.on("data", (chunk) => outer.update(chunk));
    const plain: Readable = kind?.open === undefined ? source : pipeline(source, kind.open(), ignore);
    try {
      for await (const chunk of plain as AsyncIterable<Buffer>) {
        allowance?.takeBytes(chunk.length);
        inner.update(chunk);
        yield chunk;
      }
    } catch (error) {
      if (isZlib(error)) throw refused("what it is compressed by is damaged", error);
      throw error;
    } finally {
      source.destroy();
      plain.destroy();
    }
    this.diffId = `sha256:${inner.digest("hex")}`;
    const { digest, diffId } = this.#expected;
    if (digest !== undefined && digest !== `sha256:${outer.digest("hex")}`) throw refused(`a layer is not what its digest ${digest} says`);
    if (diffId !== undefined && diffId !== this.diffId) throw refused(`a layer is not what its diff_id ${diffId} says`);
  }
}

/** Whoever reads the last stream hears of it. */
function ignore(): void {}

function isZlib(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "string" && /^(Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(error.code);
}
