import { posix } from "node:path";
import { SandboxerError } from "../../contract/index.ts";
import type { ErrorCode, FileEvent, FileInfo, Files, Op } from "../../contract/index.ts";
import { Bell } from "./channel.ts";
import { failure } from "./failure.ts";
import type { Reach } from "./processes.ts";
import { WORKSPACE } from "./sandbox.ts";
import type { FakeSandbox } from "./sandbox.ts";
import { readTar, writeTar } from "./tar.ts";
import { TreeError, mayAccess } from "./tree-node.ts";
import type { Errno, TreeNode } from "./tree-node.ts";
import { walk } from "./tree.ts";
import type { Actor } from "./tree.ts";

const CODES: Record<Errno, ErrorCode> = {
  ENOENT: "file_not_found", EEXIST: "file_conflict", ENOTDIR: "file_conflict", EISDIR: "file_conflict", ENOTEMPTY: "file_conflict", EACCES: "file_denied",
  ELOOP: "file_conflict", ENOSPC: "quota_exceeded", EINVAL: "file_conflict", ENXIO: "file_conflict", ENAMETOOLONG: "invalid_request",
}; // prettier-ignore

/** The files of fake sandboxes, as the sandbox's user sees them. */
export function fakeFiles(reach: Reach, hasWatch: boolean): Files {
  const within = async <T>(
    ref: Parameters<Reach>[0],
    path: string,
    op: Op,
    work: (sandbox: FakeSandbox, who: Actor) => T | Promise<T>,
  ): Promise<T> => {
    const sandbox = await reach(ref, op);
    try {
      return await work(sandbox, { cwd: WORKSPACE, uid: sandbox.user(undefined).uid });
    } catch (problem) {
      if (!(problem instanceof TreeError)) throw problem;
      throw new SandboxerError(CODES[problem.errno], `${path}: ${problem.message}`, { phase: "files", cause: problem });
    }
  };
  return {
    read: (ref, path, range, op) =>
      within(ref, path, op, ({ tree }, who) => {
        const { node, path: real } = tree.lookup(path, who);
        if (node.kind === "directory") throw new TreeError("EISDIR", path);
        if (node.kind !== "file") throw new TreeError("ENXIO", path);
        if (!mayAccess(node, who.uid, 4)) throw new TreeError("EACCES", path);
        return { info: infoOf(node, real), body: pieces(node, range, op.signal) };
      }),
    async write(ref, path, body, options, op) {
      const chunks = await gather(body, op);
      return await within(ref, path, op, ({ tree }, who) => {
        tree.makeParents(path.replace(/[^/]*$/, "") || ".", who);
        const size = chunks.reduce((total, chunk) => total + chunk.length, 0);
        const place = tree.place(path, who);
        if (tree.wouldOverflow(size - (place.node?.size ?? 0))) throw new TreeError("ENOSPC", path);
        const { node, path: real } = tree.openForWrite(path, who, "truncate", options.mode ?? 0o644);
        for (const chunk of chunks) tree.append(node, chunk, real);
        if (options.mode !== undefined) tree.chmod(node, real, options.mode, who);
        return infoOf(node, real);
      });
    },
    list: (ref, path, options, op) =>
      within(ref, path, op, ({ tree }, who) => {
        const { node, path: real } = tree.lookup(path, who);
        if (node.kind !== "directory") throw new TreeError("ENOTDIR", path);
        if (!mayAccess(node, who.uid, 4)) throw new TreeError("EACCES", path);
        const infos = Array.from(walk(node, real, options.depth), (entry) => infoOf(entry.node, entry.path)).slice(1);
        return infos.sort((a, b) => (a.path < b.path ? -1 : 1));
      }),
    stat: (ref, path, op) =>
      within(ref, path, op, ({ tree }, who) => {
        const { node, path: real } = tree.lookup(path, who, false);
        return infoOf(node, real);
      }),
    mkdir: (ref, path, options, op) =>
      within(ref, path, op, ({ tree }, who) => {
        if (options.parents) tree.makeParents(path, who, options.mode);
        else tree.make(tree.place(path, who), "directory", options.mode ?? 0o755, who);
      }),
    rename: (ref, from, to, options, op) =>
      within(ref, from, op, ({ tree }, who) => {
        const target = tree.place(to, who, false);
        if (target.node !== undefined && !options.replace) throw new TreeError("EEXIST", to);
        tree.rename(tree.place(from, who, false), target, who);
      }),
    remove: (ref, path, options, op) =>
      within(ref, path, op, ({ tree }, who) => tree.remove(tree.place(path, who, false), who, options.recursive)),
    chmod: (ref, path, mode, op) =>
      within(ref, path, op, ({ tree }, who) => {
        const { node, path: real } = tree.lookup(path, who);
        tree.chmod(node, real, mode, who);
      }),
    async *watch(ref, path, options, op) {
      if (!hasWatch) throw new SandboxerError("capability_unsupported", "this backend has no fs.watch");
      const { tree, root } = await within(ref, path, op, (sandbox, who) => ({
        tree: sandbox.tree,
        root: sandbox.tree.lookup(path, who).path,
      }));
      const asked = posix.resolve(WORKSPACE, path);
      const events: FileEvent[] = [];
      const bell = new Bell();
      const prefix = root === "/" ? "/" : `${root}/`;
      const stop = tree.watch((event) => {
        const inside =
          event.path === root || (event.path.startsWith(prefix) && (options.recursive || !event.path.slice(prefix.length).includes("/")));
        // Named by the path that was asked for, also where that leads through a link.
        if (inside) events.push({ ...event, path: posix.join(asked, event.path.slice(root.length)) });
        bell.ring();
      });
      options.onArmed?.();
      try {
        while (!op.signal.aborted) {
          const event = events.shift();
          if (event !== undefined) yield event;
          else await bell.heard(op.signal);
        }
      } catch (thrown) {
        if (!op.signal.aborted) throw thrown;
      } finally {
        stop();
      }
    },
    async *exportTree(ref, path, op) {
      const { node } = await within(ref, path, op, ({ tree }, who) => tree.lookup(path, who));
      yield* writeTar(node, path, op.signal);
    },
    async importTree(ref, path, tar, op) {
      const chunks = await gather(tar, op);
      await within(ref, path, op, ({ tree }, who) => readTar(tree, path, who, Buffer.concat(chunks)));
    },
  };
}

async function gather(body: AsyncIterable<Uint8Array>, op: Op): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    if (op.signal.aborted) throw failure(op.signal.reason, op.signal, { phase: "files" });
    chunks.push(chunk.slice());
  }
  return chunks;
}

/** What the API says of a node. */
export function infoOf(node: TreeNode, path: string): FileInfo {
  return {
    path,
    name: path.slice(path.lastIndexOf("/") + 1),
    type: node.kind,
    size: node.size,
    mode: (node.mode & 0o7777).toString(8).padStart(4, "0"),
    uid: node.uid,
    gid: node.gid,
    modified_at: new Date(node.modifiedAt).toISOString(),
    target: node.kind === "symlink" ? node.target : null,
  };
}

async function* pieces(node: TreeNode, range: { offset?: number; length?: number }, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const start = range.offset ?? 0;
  const end = Math.min(node.size, start + (range.length ?? Infinity));
  for (let at = start; at < end; at += 65_536) {
    if (signal.aborted) throw failure(signal.reason, signal, { phase: "files" });
    await new Promise(setImmediate);
    yield node.buffer.slice(at, Math.min(at + 65_536, end));
  }
}
