import type { Entry } from "../../../tar/header.ts";
import { readTar } from "../../../tar/read.ts";

export type TarType = Exclude<Entry["type"], "other">;

/** One entry; its content must be read, or skipped by going on, before the next one. */
export interface TarEntry extends Omit<Entry, "type" | "flag"> {
  readonly type: TarType;
  readonly content: AsyncIterable<Buffer>;
}

/**
 * Every entry of a tar that an image is made of, in turn. Strict, since who wrote it is a stranger: throws RangeError on what is not a tar,
 * ends too early, or is of a type that is not understood. Its end mark may be missing: its digest says whether it is all.
 */
export async function* readImageTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, undefined> {
  for await (const { type, flag, ...entry } of readTar(source, { endMark: "optional" })) {
    if (type === "other") throw new RangeError(`an entry is of the unknown type ${JSON.stringify(flag)}`);
    yield { ...entry, type: type === "file" && entry.name.endsWith("/") ? "directory" : type };
  }
}
