import { pathToBytes } from "../../contract/index.ts";
import type { FileEvent } from "../../contract/index.ts";
import { TreeError, mayAccess, newNode } from "./tree-node.ts";
import type { NodeKind, TreeNode } from "./tree-node.ts";

/** Whoever acts on the tree: where relative paths start, and as whom. */
export interface Actor {
  readonly cwd: string;
  readonly uid: number;
}

/** Where a path leads. `node` is undefined where nothing stands at `name` in `parent`. */
export interface Place {
  readonly parent: TreeNode;
  readonly name: string;
  /** Absolute, without symlinks in its directories. */
  readonly path: string;
  readonly node: TreeNode | undefined;
}

/** A file system in memory with quotas, permissions and watchers. Everything throws {@link TreeError}. */
export class Tree {
  readonly root: TreeNode = newNode("directory", 0o755, 0);
  readonly #quota: { bytes: number; inodes: number };
  readonly #watchers = new Set<(event: FileEvent) => void>();
  usedBytes = 0;
  usedInodes = 0;

  constructor(quota: { bytes: number; inodes: number }) {
    this.#quota = quota;
  }

  /** Walks to a path. A symlink at its end is followed where `follow` says so; a dangling one leads to where it points. */
  place(path: string, who: Actor, follow = true): Place {
    return this.#walk(path.startsWith("/") ? path : `${who.cwd}/${path}`, who, follow, 0);
  }

  #walk(absolute: string, who: Actor, follow: boolean, depth: number): Place {
    if (depth > 40) throw new TreeError("ELOOP", absolute);
    const trail: { node: TreeNode; name: string }[] = [{ node: this.root, name: "" }];
    const names = absolute.split("/").filter((name) => name !== "" && name !== ".");
    for (const [index, name] of names.entries()) {
      const parent = trail.at(-1)?.node ?? this.root;
      if (parent.kind !== "directory") throw new TreeError("ENOTDIR", absolute);
      if (name === "..") {
        if (trail.length > 1) trail.pop();
        continue;
      }
      if (pathToBytes(name).length > 255) throw new TreeError("ENAMETOOLONG", absolute);
      if (!mayAccess(parent, who.uid, 1)) throw new TreeError("EACCES", absolute);
      const here = trail.map((step) => step.name).join("/");
      const node = parent.entries.get(name);
      const last = index === names.length - 1;
      if (node?.kind === "symlink" && (!last || follow)) {
        const target = node.target.startsWith("/") ? node.target : `${here}/${node.target}`;
        return this.#walk([target, ...names.slice(index + 1)].join("/"), who, follow, depth + 1);
      }
      if (last) return { parent, name, path: `${here}/${name}`, node };
      if (node === undefined) throw new TreeError("ENOENT", absolute);
      trail.push({ node, name });
    }
    const end = trail.at(-1) ?? { node: this.root, name: "" };
    return {
      parent: trail.at(-2)?.node ?? this.root,
      name: end.name,
      path: trail.map((step) => step.name).join("/") || "/",
      node: end.node,
    };
  }

  /** The node at a path; ENOENT where there is none. */
  lookup(path: string, who: Actor, follow = true): { node: TreeNode; path: string } {
    const place = this.place(path, who, follow);
    if (place.node === undefined) throw new TreeError("ENOENT", path);
    return { node: place.node, path: place.path };
  }

  /** Makes a node where nothing stands yet. */
  make(place: Place, kind: NodeKind, mode: number, who: Actor, target = ""): TreeNode {
    if (place.node !== undefined) throw new TreeError("EEXIST", place.path);
    if (!mayAccess(place.parent, who.uid, 2)) throw new TreeError("EACCES", place.path);
    if (this.usedInodes >= this.#quota.inodes) throw new TreeError("ENOSPC", place.path);
    const node = newNode(kind, mode, who.uid, target);
    place.parent.entries.set(place.name, node);
    place.parent.modifiedAt = Date.now();
    this.usedInodes++;
    this.#tell("created", place.path);
    return node;
  }

  /** A directory and those above it that are missing; one that exists already is left as it is. */
  makeParents(path: string, who: Actor, mode = 0o755): TreeNode {
    const names = (path.startsWith("/") ? path : `${who.cwd}/${path}`).split("/").filter((name) => name !== "");
    let node = this.root;
    for (let i = 1; i <= names.length; i++) {
      const place = this.place(`/${names.slice(0, i).join("/")}`, who);
      node = place.node ?? this.make(place, "directory", mode, who);
      if (node.kind !== "directory") throw new TreeError(i === names.length ? "EEXIST" : "ENOTDIR", place.path);
    }
    return node;
  }

  /** Opens a file for writing, making it where it is missing. */
  openForWrite(path: string, who: Actor, how: "truncate" | "append", mode = 0o644): { node: TreeNode; path: string } {
    const place = this.place(path, who);
    const node = place.node ?? this.make(place, "file", mode, who);
    if (node.kind === "directory") throw new TreeError("EISDIR", path);
    if (node.kind === "fifo") throw new TreeError("ENXIO", path);
    if (!mayAccess(node, who.uid, 2)) throw new TreeError("EACCES", path);
    if (how === "truncate" && node.kind === "file") this.resize(node, 0);
    return { node, path: place.path };
  }

  /** Whether that many bytes more would break the quota. */
  wouldOverflow(bytes: number): boolean {
    return this.usedBytes + bytes > this.#quota.bytes;
  }

  append(node: TreeNode, bytes: Uint8Array, path: string): void {
    if (this.wouldOverflow(bytes.length)) throw new TreeError("ENOSPC", path);
    const end = node.size + bytes.length;
    if (end > node.buffer.length) {
      const grown = new Uint8Array(Math.max(end, node.buffer.length * 2));
      grown.set(node.buffer.subarray(0, node.size));
      node.buffer = grown;
    }
    node.buffer.set(bytes, node.size);
    node.size = end;
    node.modifiedAt = Date.now();
    this.usedBytes += bytes.length;
    this.#tell("modified", path);
  }

  /** Cuts a file, or extends it with zeros. */
  resize(node: TreeNode, size: number): void {
    if (this.wouldOverflow(size - node.size)) throw new TreeError("ENOSPC", "");
    const buffer = new Uint8Array(size);
    buffer.set(node.buffer.subarray(0, Math.min(size, node.size)));
    this.usedBytes += size - node.size;
    node.buffer = buffer;
    node.size = size;
  }

  /** Takes a node out. A directory must be empty unless `recursive`. */
  remove(place: Place, who: Actor, recursive: boolean): void {
    if (place.node === undefined) throw new TreeError("ENOENT", place.path);
    if (place.node === this.root || !mayAccess(place.parent, who.uid, 2)) throw new TreeError("EACCES", place.path);
    if (place.node.entries.size > 0 && !recursive) throw new TreeError("ENOTEMPTY", place.path);
    for (const { node } of walk(place.node, place.path, Infinity)) this.#release(node);
    place.parent.entries.delete(place.name);
    place.parent.modifiedAt = Date.now();
    this.#tell("removed", place.path);
  }

  rename(from: Place, to: Place, who: Actor): void {
    const node = from.node;
    if (node === undefined) throw new TreeError("ENOENT", from.path);
    if (!mayAccess(from.parent, who.uid, 2) || !mayAccess(to.parent, who.uid, 2)) throw new TreeError("EACCES", to.path);
    if (to.path === from.path) return;
    if (to.path.startsWith(`${from.path}/`)) throw new TreeError("EINVAL", to.path);
    if (to.node !== undefined) {
      if (to.node.kind === "directory" && node.kind !== "directory") throw new TreeError("EISDIR", to.path);
      if (to.node.kind !== "directory" && node.kind === "directory") throw new TreeError("ENOTDIR", to.path);
      if (to.node.entries.size > 0) throw new TreeError("ENOTEMPTY", to.path);
      this.#release(to.node);
    }
    from.parent.entries.delete(from.name);
    to.parent.entries.set(to.name, node);
    this.#tell("renamed", from.path);
    this.#tell("created", to.path);
  }

  chmod(node: TreeNode, path: string, mode: number, who: Actor): void {
    if (who.uid !== 0 && who.uid !== node.uid) throw new TreeError("EACCES", path);
    node.mode = mode & 0o7777;
    this.#tell("attributes", path);
  }

  /** Calls back at every change until the returned function is called. */
  watch(callback: (event: FileEvent) => void): () => void {
    this.#watchers.add(callback);
    return () => this.#watchers.delete(callback);
  }

  #release(node: TreeNode): void {
    this.usedInodes--;
    if (node.kind === "file") this.usedBytes -= node.size;
  }

  #tell(type: FileEvent["type"], path: string): void {
    for (const callback of this.#watchers) callback({ type, path });
  }
}

/** The node itself, then all below it down to `depth`, parents before children. Not by recursion: trees may be 10,000 deep. */
export function* walk(node: TreeNode, path: string, depth: number): Generator<{ node: TreeNode; path: string }> {
  const pending = [{ node, path, left: depth }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next;
    if (next.left === 0) continue;
    const below = next.path === "/" ? "" : next.path;
    for (const [name, child] of next.node.entries) pending.push({ node: child, path: `${below}/${name}`, left: next.left - 1 });
  }
}
