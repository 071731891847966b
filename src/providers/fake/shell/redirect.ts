import type { Input, Output } from "../channel.ts";
import { inputOf } from "../channel.ts";
import type { Tree } from "../tree.ts";
import { TreeError, mayAccess } from "../tree-node.ts";
import type { TreeNode } from "../tree-node.ts";
import { expandOne } from "./expand.ts";
import { actorOf } from "./shell.ts";
import type { Shell, Streams } from "./shell.ts";
import type { Redirect } from "./syntax.ts";

/** The streams of a command with its redirections, left to right. Throws TreeError. */
export async function openRedirects(shell: Shell, redirects: readonly Redirect[]): Promise<Streams> {
  let { stdin, stdout, stderr } = shell.streams;
  for (const { fd, kind, target } of redirects) {
    const path = await expandOne(shell, target);
    if (kind === "read") {
      stdin = openInput(shell, path);
      continue;
    }
    let output: Output;
    if (kind === "duplicate") {
      if (path !== "1" && path !== "2") throw new TreeError("EINVAL", path);
      output = path === "1" ? stdout : stderr;
    } else {
      output = openOutput(shell, path, kind === "append" ? "append" : "truncate");
    }
    if (fd === 1) stdout = output;
    else if (fd === 2) stderr = output;
    else throw new TreeError("EINVAL", String(fd));
  }
  return { stdin, stdout, stderr };
}

/** A file, or a device, to read from. */
export function openInput(shell: Shell, path: string): Input {
  const { node } = shell.sandbox.tree.lookup(path, actorOf(shell));
  if (node.kind === "directory") throw new TreeError("EISDIR", path);
  if (!mayAccess(node, shell.user.uid, 4)) throw new TreeError("EACCES", path);
  if (node.kind === "char_device") return node.target === "zero" ? new Zeros() : inputOf();
  if (node.kind !== "file") throw new TreeError("ENXIO", path);
  return new FileInput(node);
}

export function openOutput(shell: Shell, path: string, how: "truncate" | "append"): Output {
  const { tree } = shell.sandbox;
  const opened = tree.openForWrite(path, actorOf(shell), how);
  return new FileOutput(tree, opened.node, opened.path);
}

class FileOutput implements Output {
  readonly #tree: Tree;
  readonly #node: TreeNode;
  readonly #path: string;

  constructor(tree: Tree, node: TreeNode, path: string) {
    this.#tree = tree;
    this.#node = node;
    this.#path = path;
  }

  async write(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await new Promise(setImmediate);
    signal.throwIfAborted();
    if (this.#node.kind === "file") this.#tree.append(this.#node, bytes, this.#path);
  }
}

/** Reads on while the file grows, as a descriptor does. */
class FileInput implements Input {
  readonly #node: TreeNode;
  #at = 0;

  constructor(node: TreeNode) {
    this.#node = node;
  }

  async read(signal: AbortSignal): Promise<Uint8Array | null> {
    await new Promise(setImmediate);
    signal.throwIfAborted();
    if (this.#at >= this.#node.size) return null;
    const chunk = this.#node.buffer.slice(this.#at, Math.min(this.#at + 65_536, this.#node.size));
    this.#at += chunk.length;
    return chunk;
  }

  unread(bytes: Uint8Array): void {
    this.#at -= bytes.length;
  }

  close(): void {
    this.#at = Infinity;
  }
}

class Zeros implements Input {
  async read(signal: AbortSignal): Promise<Uint8Array> {
    await new Promise(setImmediate);
    signal.throwIfAborted();
    return new Uint8Array(65_536);
  }

  unread(): void {
    // What was read too far of an endless row of zeros comes again by itself.
  }

  close(): void {
    // Nothing is held.
  }
}
