/** What a node of the in-memory file system is. */
export type NodeKind = "file" | "directory" | "symlink" | "fifo" | "char_device";

/** One inode. Which of the optional fields it has, its kind says. */
export interface TreeNode {
  readonly kind: NodeKind;
  mode: number;
  uid: number;
  gid: number;
  modifiedAt: number;
  /** Of a directory; names are text in the form of contract/path. */
  readonly entries: Map<string, TreeNode>;
  /** Of a file: a buffer of which the first `size` bytes count. */
  buffer: Uint8Array;
  size: number;
  /** Of a symlink: what it points to; of a device: which one. */
  readonly target: string;
}

/** An error as a kernel would give it. */
export type Errno =
  | "ENOENT"
  | "EEXIST"
  | "ENOTDIR"
  | "EISDIR"
  | "ENOTEMPTY"
  | "EACCES"
  | "ELOOP"
  | "ENOSPC"
  | "EINVAL"
  | "ENXIO"
  | "ENAMETOOLONG";

const WORDS: Record<Errno, string> = {
  ENOENT: "No such file or directory",
  EEXIST: "File exists",
  ENOTDIR: "Not a directory",
  EISDIR: "Is a directory",
  ENOTEMPTY: "Directory not empty",
  EACCES: "Permission denied",
  ELOOP: "Too many levels of symbolic links",
  ENOSPC: "No space left on device",
  EINVAL: "Invalid argument",
  ENXIO: "No such device or address",
  ENAMETOOLONG: "File name too long",
};

/** What the in-memory file system throws. `message` is the usual text of the errno. */
export class TreeError extends Error {
  readonly errno: Errno;
  readonly path: string;

  constructor(errno: Errno, path: string) {
    super(WORDS[errno]);
    this.errno = errno;
    this.path = path;
  }
}

/** A new node that nothing points to yet. */
export function newNode(kind: NodeKind, mode: number, uid: number, target = ""): TreeNode {
  return { kind, mode, uid, gid: uid, modifiedAt: Date.now(), entries: new Map(), buffer: new Uint8Array(0), size: 0, target };
}

/** Whether that user may read (4), write (2) or search (1) it. Root may all. */
export function mayAccess(node: TreeNode, uid: number, bit: 1 | 2 | 4): boolean {
  if (uid === 0) return true;
  const shift = node.uid === uid ? 6 : node.gid === uid ? 3 : 0;
  return ((node.mode >> shift) & bit) !== 0;
}
