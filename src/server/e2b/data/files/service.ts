import { posix } from "node:path";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { SandboxerError, type FileInfo } from "../../../../contract/index.ts";
import { keepaliveMs } from "../pulse.ts";
import { streaming, unary } from "../rpc-call.ts";
import type { Session } from "../session.ts";
import type { FilesystemService } from "../wire/filesystem.ts";
import { entryOf } from "./entry.ts";
import { watchDirectory } from "./watch.ts";
import { watchersOf } from "./watchers.ts";

/** Links looked behind at once. */
const AT_ONCE = 8;

/** `filesystem.Filesystem` over our files. */
export const filesystemService: ServiceImpl<typeof FilesystemService> = {
  stat: unary(async (session, { path }) => ({ entry: await stat(session, session.path(path)) })),

  makeDir: unary(async (session, request) => {
    const path = session.path(request.path);
    const { engine, who, id } = session;
    try {
      await engine.files.mkdir(who, id, path, { parents: false, mode: 0o755 });
    } catch (thrown) {
      if (!(thrown instanceof SandboxerError)) throw thrown;
      if (thrown.code === "file_conflict") throw await whyNoDirectory(session, path, thrown);
      if (thrown.code !== "file_not_found") throw thrown;
      await engine.files.mkdir(who, id, path, { parents: true });
    }
    return { entry: await stat(session, path) };
  }),

  move: unary(async (session, request) => {
    const [from, to] = [session.path(request.source), session.path(request.destination)];
    const { engine, who, id } = session;
    try {
      await engine.files.rename(who, id, from, to, { replace: true });
    } catch (thrown) {
      if (!(thrown instanceof SandboxerError) || thrown.code !== "file_not_found") throw thrown;
      // Either the source is not there, which is told, or the new parent, which is made.
      await engine.files.stat(who, id, from);
      await engine.files.mkdir(who, id, posix.dirname(to), { parents: true });
      await engine.files.rename(who, id, from, to, { replace: true });
    }
    return { entry: await stat(session, to) };
  }),

  listDir: unary(async (session, { path, depth }) => ({ entries: await list(session, session.path(path), Math.max(1, depth)) })),

  /** One that is not there is as good as removed. */
  remove: unary(async (session, { path }) => {
    try {
      await session.engine.files.remove(session.who, session.id, session.path(path), { recursive: true });
    } catch (thrown) {
      if (!(thrown instanceof SandboxerError) || thrown.code !== "file_not_found") throw thrown;
    }
    return {};
  }),

  watchDir: streaming(async function* (session, request, { requestHeader, signal }) {
    const idleMs = keepaliveMs(requestHeader.get("keepalive-ping-interval"));
    for await (const event of watchDirectory(session, request, idleMs, signal)) {
      if (event === "armed") yield { event: { case: "start", value: {} } };
      else if (event === undefined) yield { event: { case: "keepalive", value: {} } };
      else yield { event: { case: "filesystem", value: event } };
    }
  }),

  createWatcher: unary(async (session, request) => ({ watcherId: await watchersOf(session.ctx).create(session, request) })),
  getWatcherEvents: unary(async (session, { watcherId }) => ({ events: watchersOf(session.ctx).take(session, watcherId) })),
  removeWatcher: unary(async (session, { watcherId }) => {
    watchersOf(session.ctx).remove(session, watcherId);
    return {};
  }),
};

async function stat(session: Session, path: string) {
  return entryOf(session, await session.engine.files.stat(session.who, session.id, path), path);
}

async function whyNoDirectory({ engine, who, id }: Session, path: string, thrown: SandboxerError): Promise<Error> {
  const { type } = await engine.files.stat(who, id, path).catch((): Partial<FileInfo> => ({}));
  if (type === "directory") return new ConnectError(`directory already exists: ${path}`, Code.AlreadyExists);
  return new SandboxerError("invalid_request", `path already exists but it is not a directory: ${path}`, { cause: thrown });
}

/** Depth first, by name: a directory stands before what is in it. */
async function list(session: Session, path: string, depth: number) {
  const { engine, who, id } = session;
  const infos = await engine.files.list(who, id, path, { depth }).catch((thrown: unknown) => {
    if (thrown instanceof SandboxerError && thrown.code === "file_conflict")
      throw new SandboxerError("invalid_request", `path is not a directory: ${path}`, { cause: thrown });
    throw thrown;
  });
  // Where the path leads through a link, the backend may name what it found by its real place.
  const root = infos.map((info) => posix.dirname(info.path)).reduce((a, b) => (b.length < a.length ? b : a), infos[0] === undefined ? path : posix.dirname(infos[0].path)); // prettier-ignore
  const places = infos.map((info) => ({ info, names: posix.relative(root, info.path).split("/") }));
  places.sort((a, b) => compareNames(a.names, b.names));
  const entries: Awaited<ReturnType<typeof entryOf>>[] = [];
  for (let at = 0; at < places.length; at += AT_ONCE)
    entries.push(
      ...(await Promise.all(places.slice(at, at + AT_ONCE).map(({ info, names }) => entryOf(session, info, posix.join(path, ...names))))),
    );
  return entries;
}

function compareNames(a: readonly string[], b: readonly string[]): number {
  for (const [index, name] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    if (name !== other) return name < other ? -1 : 1;
  }
  return a.length - b.length;
}
