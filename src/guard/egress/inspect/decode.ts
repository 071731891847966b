import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { Refused } from "./refusal.ts";

const DECODERS = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
} as const;

/**
 * A body without its content encodings, for a server that compresses although it was asked not to: a value cannot be found in it otherwise.
 *
 * @throws Refused for an encoding that is not known: what cannot be read is not passed on.
 */
export function decoder(body: Readable, encodings: readonly string[]): Readable {
  let stream = body;
  const names = encodings.flatMap((value) => value.split(",")).map((name) => name.trim().toLowerCase()).filter((name) => name !== "" && name !== "identity"); // prettier-ignore
  for (const name of names.toReversed()) {
    if (!(name in DECODERS)) {
      throw new Refused(
        "protocol",
        `The upstream server's answer is encoded as ${JSON.stringify(name)}, which cannot be looked through for secrets.`,
        { status: 502 },
      );
    }
    const decoded = DECODERS[name as keyof typeof DECODERS]();
    pipeline(stream, decoded, () => {});
    stream = decoded;
  }
  return stream;
}
