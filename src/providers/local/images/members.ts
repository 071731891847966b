import { closeSync, constants, openSync, writeSync } from "node:fs";
import { lstat, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { TarFile } from "./content.ts";
import { DOCUMENT_BYTES } from "./manifest.ts";
import { type Allowance, refused } from "./limits.ts";
import { readImageTar } from "./tar.ts";

/** What is in an archive of an image, by name. */
export interface Members {
  /** A host file with that member's content. Throws where there is none. */
  file(name: string): Promise<string>;
  has(name: string): boolean | Promise<boolean>;
}

/** A document among them, as it is. Throws for one that is too large to be one. */
export async function readMember(members: Members, name: string): Promise<Buffer> {
  const handle = await open(await members.file(name), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if ((await handle.stat()).size > DOCUMENT_BYTES) throw refused(`${JSON.stringify(name.slice(0, 100))} is too large for a document`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** A layer of a few blobs has this many members at the most. */
const MAX_MEMBERS = 10_000;

const plainName = (name: string): string => name.replace(/^(\.\/)+/, "").replace(/\/+$/, "");

/** The names in a tar: what kind of image it is shows in them. */
export async function namesIn(file: string): Promise<Set<string>> {
  const names = new Set<string>();
  try {
    for await (const { name } of readImageTar(new TarFile(file).read())) if (names.size < MAX_MEMBERS) names.add(plainName(name));
  } catch (error) {
    if (error instanceof RangeError) throw refused(error.message, error);
    throw error;
  }
  return names;
}

/**
 * The members of an archive, written to files of numbers in `directory`: no name of the archive's becomes a path. Old archives of Docker's
 * have links between layers; those lead to members alone.
 */
export async function unpackMembers(file: string, directory: string, allowance: Allowance): Promise<Members> {
  await mkdir(directory, { mode: 0o700 });
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  try {
    for await (const { name, type, link, content } of readImageTar(new TarFile(file).read(allowance))) {
      if (files.size + links.size >= MAX_MEMBERS) throw refused("it has too many members");
      const member = plainName(name);
      if (type === "directory") continue;
      if (files.has(member) || links.has(member)) throw refused(`${JSON.stringify(member.slice(0, 100))} is there twice`);
      if (type === "symlink" || type === "hardlink") links.set(member, linkTarget(member, link, type));
      else if (type === "file") {
        const path = join(directory, String(files.size));
        files.set(member, path);
        const descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
        try {
          for await (const piece of content) for (let at = 0; at < piece.length;) at += writeSync(descriptor, piece, at);
        } finally {
          closeSync(descriptor);
        }
      } else throw refused("its archive holds something that is no file");
    }
  } catch (error) {
    if (error instanceof RangeError) throw refused(error.message, error);
    throw error;
  }
  return {
    has: (name) => files.has(links.get(name) ?? name),
    async file(name) {
      const path = files.get(links.get(name) ?? name);
      if (path === undefined) throw refused(`${JSON.stringify(name.slice(0, 100))} is missing in it`);
      return path;
    },
  };
}

/** The member that a link names: `../<layer>/layer.tar` beside its own directory. */
function linkTarget(member: string, link: string, type: "symlink" | "hardlink"): string {
  const parts = type === "symlink" ? member.split("/").slice(0, -1) : [];
  for (const part of plainName(link).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

/** The members of an OCI layout in a directory of ours. Names come from digests alone. */
export function directoryMembers(directory: string): Members {
  const at = (name: string): string => {
    if (!/^(index\.json|oci-layout|blobs\/sha256\/[0-9a-f]{64})$/.test(name)) throw refused("its layout names what is no blob");
    return join(directory, name);
  };
  return {
    async has(name) {
      return (await lstat(at(name)).catch(() => undefined))?.isFile() === true;
    },
    async file(name) {
      const path = at(name);
      const found = await lstat(path).catch(() => undefined);
      if (found?.isFile() !== true) throw refused(`${name} is missing in it`);
      return path;
    },
  };
}
