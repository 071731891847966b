import { SandboxerError, pathFromBytes, pathToBytes } from "../../contract/index.ts";
import type { TreeNode } from "./tree-node.ts";
import { walk } from "./tree.ts";
import type { Actor, Tree } from "./tree.ts";

const TYPES = { file: "0", symlink: "2", directory: "5", fifo: "6" } as const;

/** A node and all below it as an uncompressed tar; a directory's own names are relative to it. Long names in GNU's way. */
export async function* writeTar(root: TreeNode, path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const base = path.replace(/\/+$/, "").split("/").at(-1) ?? "";
  for (const { node, path: inner } of walk(root, root.kind === "directory" ? "." : base, Infinity)) {
    signal.throwIfAborted();
    if (node.kind === "char_device") continue;
    const name = pathToBytes(node.kind === "directory" ? `${inner}/` : inner);
    const target = pathToBytes(node.target);
    for (const [type, long] of [
      ["L", name],
      ["K", target],
    ] as const) {
      if (long.length > 100)
        yield* entry(
          header({ name: pathToBytes("././@LongLink"), type, size: long.length + 1, mode: 0, node: undefined, target: new Uint8Array() }),
          Buffer.concat([long, Uint8Array.of(0)]),
        );
    }
    const size = node.kind === "file" ? node.size : 0;
    yield* entry(header({ name, type: TYPES[node.kind], size, mode: node.mode, node, target }), node.buffer.slice(0, size));
  }
  yield new Uint8Array(1024);
}

function* entry(head: Uint8Array, body: Uint8Array): Generator<Uint8Array> {
  yield head;
  if (body.length > 0) yield body;
  if (body.length % 512 > 0) yield new Uint8Array(512 - (body.length % 512));
}

function header(fields: {
  name: Uint8Array;
  type: string;
  size: number;
  mode: number;
  node: TreeNode | undefined;
  target: Uint8Array;
}): Uint8Array {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) => block.write(value.toString(8).padStart(length - 1, "0"), at);
  block.set(fields.name.subarray(0, 100), 0);
  octal(fields.mode & 0o7777, 100, 8);
  octal(fields.node?.uid ?? 0, 108, 8);
  octal(fields.node?.gid ?? 0, 116, 8);
  octal(fields.size, 124, 12);
  octal(Math.floor((fields.node?.modifiedAt ?? 0) / 1000), 136, 12);
  block.fill(" ", 148, 156);
  block.write(fields.type, 156);
  block.set(fields.target.subarray(0, 100), 157);
  block.write("ustar  \0", 257, "latin1");
  block.write(block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0") + "\0 ", 148, "latin1"); // prettier-ignore
  return block;
}

/**
 * Unpacks a tar into a directory. Names stay below it: absolute ones and `..` are refused, devices and hard links are
 * left out, and nothing is written through a symlink. Throws `invalid_request` for what is no tar.
 */
export function readTar(tree: Tree, into: string, who: Actor, archive: Uint8Array): void {
  tree.makeParents(into, who);
  const long: { name?: Uint8Array; target?: Uint8Array } = {};
  for (let at = 0; at + 512 <= archive.length;) {
    const block = Buffer.from(archive.subarray(at, at + 512));
    at += 512;
    if (block.every((byte) => byte === 0)) return;
    const sum = Number.parseInt(text(block, 148, 8), 8);
    block.fill(" ", 148, 156);
    if (sum !== block.reduce((total, byte) => total + byte, 0))
      throw new SandboxerError("invalid_request", "this is no tar archive: a header's checksum is wrong", { phase: "files" });
    const size = Number.parseInt(text(block, 124, 12), 8) || 0;
    const body = archive.subarray(at, at + size);
    if (body.length < size) throw new SandboxerError("invalid_request", "the tar archive is cut short", { phase: "files" });
    at += Math.ceil(size / 512) * 512;
    const type = String.fromCharCode(block[156] ?? 0);
    if (type === "L") long.name = untilNul(body);
    else if (type === "K") long.target = untilNul(body);
    else if (type === "x") Object.assign(long, paxFields(body));
    else if (type !== "g") {
      const prefix = block.toString("latin1", 257, 263) === "ustar\0" ? untilNul(block.subarray(345, 500)) : new Uint8Array();
      const short = Buffer.concat([prefix, prefix.length > 0 ? pathToBytes("/") : prefix, untilNul(block.subarray(0, 100))]);
      const name = pathFromBytes(long.name ?? short);
      unpack(tree, into, who, {
        name,
        type,
        body,
        mode: Number.parseInt(text(block, 100, 8), 8) || 0o644,
        target: pathFromBytes(long.target ?? untilNul(block.subarray(157, 257))),
      });
      delete long.name;
      delete long.target;
    }
  }
}

function unpack(
  tree: Tree,
  into: string,
  who: Actor,
  member: { name: string; type: string; body: Uint8Array; mode: number; target: string },
): void {
  const names = member.name.split("/").filter((name) => name !== "" && name !== ".");
  if (member.name.startsWith("/") || names.includes(".."))
    throw new SandboxerError("invalid_request", `the tar archive has a name outside the directory: ${member.name}`, { phase: "files" });
  if (names.length === 0) return;
  const path = `${into}/${names.join("/")}`;
  if (member.type === "5") {
    tree.makeParents(path, who, member.mode);
    return;
  }
  if (!["0", "\0", "2", "6"].includes(member.type)) return;
  tree.makeParents(`${into}/${names.slice(0, -1).join("/")}`, who);
  const place = tree.place(path, who, false);
  if (place.node !== undefined) tree.remove(place, who, false);
  const fresh = tree.place(path, who, false);
  const kind = member.type === "2" ? "symlink" : member.type === "6" ? "fifo" : "file";
  const node = tree.make(fresh, kind, member.mode, who, kind === "symlink" ? member.target : "");
  if (kind === "file") tree.append(node, member.body, fresh.path);
}

function paxFields(body: Uint8Array): { name?: Uint8Array; target?: Uint8Array } {
  const fields: { name?: Uint8Array; target?: Uint8Array } = {};
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(32, at);
    const length = Number(Buffer.from(body.subarray(at, space)).toString());
    if (space < 0 || !Number.isInteger(length) || length < 1)
      throw new SandboxerError("invalid_request", "the tar archive has a broken pax header", { phase: "files" });
    const record = body.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(61);
    const key = Buffer.from(record.subarray(0, equals)).toString();
    if (key === "path") fields.name = record.subarray(equals + 1);
    if (key === "linkpath") fields.target = record.subarray(equals + 1);
    at += length;
  }
  return fields;
}

function text(block: Buffer, at: number, length: number): string {
  return block
    .toString("latin1", at, at + length)
    .replace(/\0.*$/s, "")
    .trim();
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const nul = bytes.indexOf(0);
  return nul < 0 ? bytes : bytes.subarray(0, nul);
}
