import { posix } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SandboxerError, type FileInfo } from "../../../../contract/index.ts";
import type { Session } from "../session.ts";
import { FILE_TYPE, type FilesystemService } from "../wire/filesystem.ts";

type Entry = NonNullable<MessageInitShape<typeof FilesystemService.method.stat.output>["entry"]>;

/** Links followed before it is taken for a loop. */
const MAX_LINKS = 40;

/**
 * What the wire tells of a file under `path`. A symlink has an absolute target and its target's kind and mode; of one
 * that leads nowhere it is the link's own. One more look inside for each link on the way.
 */
export async function entryOf(session: Session, info: FileInfo, path: string): Promise<Entry> {
  const shown = info.type === "symlink" ? await followed(session, info, path) : { info, target: undefined };
  return {
    name: posix.basename(path),
    type: kindOf(shown.info.type),
    path,
    size: BigInt(info.size),
    mode: Number.parseInt(shown.info.mode, 8) & 0o777,
    permissions: permissions(info),
    owner: USERS[info.uid] ?? String(info.uid),
    group: GROUPS[info.gid] ?? String(info.gid),
    modifiedTime: timestampFromMs(Date.parse(info.modified_at)),
    ...(shown.target === undefined ? {} : { symlinkTarget: shown.target }),
  };
}

async function followed(session: Session, link: FileInfo, path: string): Promise<{ info: FileInfo; target: string }> {
  let [info, at] = [link, path];
  for (let count = 0; count < MAX_LINKS && info.type === "symlink"; count++) {
    at = posix.resolve(posix.dirname(at), info.target ?? "");
    try {
      info = await session.engine.files.stat(session.who, session.id, at);
    } catch (thrown) {
      if (!(thrown instanceof SandboxerError) || !LEADS_NOWHERE.has(thrown.code)) throw thrown;
      return { info: link, target: at };
    }
  }
  return info.type === "symlink" ? { info: link, target: path } : { info, target: at };
}

const LEADS_NOWHERE: ReadonlySet<string> = new Set(["file_not_found", "file_denied", "file_conflict"]);

function kindOf(type: FileInfo["type"]): number {
  if (type === "file") return FILE_TYPE.FILE_TYPE_FILE;
  if (type === "directory") return FILE_TYPE.FILE_TYPE_DIRECTORY;
  return type === "symlink" ? FILE_TYPE.FILE_TYPE_SYMLINK : FILE_TYPE.FILE_TYPE_UNSPECIFIED;
}

/** The sandbox's own user goes by E2B's name for it. */
const USERS: Readonly<Record<number, string>> = { 0: "root", 1000: "user", 65534: "nobody" };
const GROUPS: Readonly<Record<number, string>> = { 0: "root", 1000: "user", 65534: "nogroup" };

const LETTERS: Readonly<Record<FileInfo["type"], string>> = {
  file: "-", directory: "d", symlink: "L", fifo: "p", socket: "S", char_device: "Dc", block_device: "D",
}; // prettier-ignore

/** In the form of Go, as E2B's agent writes them: `-rw-r--r--`, `drwxr-xr-x`, `Lrwxrwxrwx`, `dtrwxrwxrwx`. */
function permissions({ type, mode }: FileInfo): string {
  const bits = Number.parseInt(mode, 8);
  const special = `${bits & 0o4000 ? "u" : ""}${bits & 0o2000 ? "g" : ""}${bits & 0o1000 ? "t" : ""}`;
  const letters = type === "file" && special !== "" ? special : LETTERS[type] + special;
  const triples = [6, 3, 0].map(
    (shift) => `${(bits >> shift) & 4 ? "r" : "-"}${(bits >> shift) & 2 ? "w" : "-"}${(bits >> shift) & 1 ? "x" : "-"}`,
  );
  return letters + triples.join("");
}
