import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** One entry of a tar that a test writes byte for byte: also such as no tool would. */
export interface Member {
  readonly name: string;
  readonly type?: "file" | "hardlink" | "symlink" | "char" | "block" | "directory" | "fifo";
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly link?: string;
  readonly content?: string | Buffer;
}

const FLAGS = { file: "0", hardlink: "1", symlink: "2", char: "3", block: "4", directory: "5", fifo: "6" } as const;

/** A tar of those entries, in that order. */
export function tarOf(members: readonly Member[]): Buffer {
  return Buffer.concat([...members.flatMap((member) => entry(member)), Buffer.alloc(1024)]);
}

function entry({ name, type = "file", mode = type === "directory" ? 0o755 : 0o644, uid = 0, gid = 0, link = "", content = "" }: Member): Buffer[] {
  const data = Buffer.from(content);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100, "latin1");
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;
  header.write(octal(mode, 8), 100);
  header.write(octal(uid, 8), 108);
  header.write(octal(gid, 8), 116);
  header.write(octal(data.length, 12), 124);
  header.write(octal(1_700_000_000, 12), 136);
  header.write("        ", 148);
  header.write(FLAGS[type], 156);
  header.write(link, 157, 100, "latin1");
  header.write("ustar\u000000", 257);
  header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148);
  return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
} // prettier-ignore

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** What an image's configuration says of its commands. */
export interface Wishes {
  readonly User?: string;
  readonly Env?: string[];
  readonly WorkingDir?: string;
  readonly Entrypoint?: string[];
  readonly Cmd?: string[];
}

export interface ImageInput {
  /** Tars, lowest first. */
  readonly layers: readonly Buffer[];
  readonly config?: Wishes;
  readonly architecture?: string;
  readonly tags?: readonly string[];
}

const ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch;

function configOf({ layers, config = {}, architecture = ARCHITECTURE }: ImageInput): Buffer {
  return Buffer.from(JSON.stringify({ architecture, os: "linux", config, rootfs: { type: "layers", diff_ids: layers.map(digestOf) } }));
}

/** The id that an image has everywhere. */
export const imageId = (input: ImageInput): string => digestOf(configOf(input));

/** What `docker save` writes. */
export function dockerArchive(input: ImageInput): Buffer {
  const config = configOf(input);
  const name = `${digestOf(config).slice(7)}.json`;
  const layers = input.layers.map((layer, at) => ({ name: `${at}/layer.tar`, content: layer }));
  const manifest = [{ Config: name, RepoTags: input.tags ?? null, Layers: layers.map((layer) => layer.name) }];
  return tarOf([{ name, content: config }, ...layers, { name: "manifest.json", content: JSON.stringify(manifest) }]);
}

/** The files of an OCI layout, by name. `compress`: how a layer's blob is made of its tar. */
export function ociLayout(input: ImageInput, compress: (layer: Buffer) => Buffer = (layer) => gzipSync(layer)): Member[] {
  const config = configOf(input);
  const blobs = input.layers.map((layer) => compress(layer));
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf(config), size: config.length },
      layers: blobs.map((blob) => ({ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: digestOf(blob), size: blob.length })),
    }),
  );
  const index = { schemaVersion: 2, manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf(manifest), size: manifest.length }] };
  const blob = (content: Buffer): Member => ({ name: `blobs/sha256/${digestOf(content).slice(7)}`, content });
  return [
    { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: "index.json", content: JSON.stringify(index) },
    ...[config, manifest, ...blobs].map(blob),
  ];
} // prettier-ignore

/** Writes members to a directory. */
export function writeMembers(directory: string, members: readonly Member[]): void {
  for (const { name, content = "" } of members) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
}

/** The static program that the tests' images are made of. */
export function busybox(): Buffer {
  const path = ["/usr/bin/busybox", "/bin/busybox"].find((one) => existsSync(one));
  if (path === undefined) throw new Error("busybox-static is not on this host");
  return readFileSync(path);
}

/** A small system: busybox by a few names, and users. */
export function smallSystem(): Buffer {
  const links = ["sh", "cat", "id", "ls", "env", "pwd", "stat", "touch", "hostname", "sleep", "rm", "mv", "mkdir", "ln", "head", "chmod"];
  return tarOf([
    { name: "bin", type: "directory" },
    { name: "bin/busybox", mode: 0o755, content: busybox() },
    ...links.map((name): Member => ({ name: `bin/${name}`, type: "symlink", link: "busybox" })),
    { name: "etc", type: "directory" },
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345:app:/home/app:/bin/sh\n" },
    { name: "etc/group", content: "root:x:0:\napp:x:2345:\nstaff:x:50:\n" },
    { name: "etc/resolv.conf", content: "nameserver 192.0.2.1\n" },
    { name: "home/app", type: "directory", uid: 1234, gid: 2345 },
    { name: "home/app/kept", content: "mine\n", uid: 1234, gid: 2345 },
    { name: "data", type: "directory" },
    { name: "data/low", content: "low\n" },
    { name: "data/gone", content: "still here\n" },
    { name: "opaque", type: "directory" },
    { name: "opaque/old", content: "old\n" },
  ]);
}
