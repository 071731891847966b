import type { Message } from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { schemaOf } from "./schema.ts";

/** The kinds of entries and events, by their numbers on the wire. */
export const FILE_TYPE = { FILE_TYPE_UNSPECIFIED: 0, FILE_TYPE_FILE: 1, FILE_TYPE_DIRECTORY: 2, FILE_TYPE_SYMLINK: 3 } as const;
export const EVENT_TYPE = {
  EVENT_TYPE_UNSPECIFIED: 0,
  EVENT_TYPE_CREATE: 1,
  EVENT_TYPE_WRITE: 2,
  EVENT_TYPE_REMOVE: 3,
  EVENT_TYPE_RENAME: 4,
  EVENT_TYPE_CHMOD: 5,
} as const;

const WATCH = { path: "string 1", recursive: "bool 2", include_entry: "bool 3", allow_network_mounts: "bool 4" };

/** `filesystem.Filesystem` of E2B's public wire, by its names and numbers. */
const registry = schemaOf({
  name: "filesystem",
  messages: {
    MoveRequest: { source: "string 1", destination: "string 2" },
    MoveResponse: { entry: "EntryInfo 1" },
    MakeDirRequest: { path: "string 1" },
    MakeDirResponse: { entry: "EntryInfo 1" },
    RemoveRequest: { path: "string 1" },
    RemoveResponse: {},
    StatRequest: { path: "string 1" },
    StatResponse: { entry: "EntryInfo 1" },
    EntryInfo: {
      name: "string 1",
      type: "FileType 2",
      path: "string 3",
      size: "int64 4",
      mode: "uint32 5",
      permissions: "string 6",
      owner: "string 7",
      group: "string 8",
      modified_time: "Timestamp 9",
      symlink_target: "optional string 10",
      metadata: "map string 11",
    },
    ListDirRequest: { path: "string 1", depth: "uint32 2" },
    ListDirResponse: { entries: "repeated EntryInfo 1" },
    WatchDirRequest: WATCH,
    FilesystemEvent: { name: "string 1", type: "EventType 2", entry: "optional EntryInfo 3" },
    WatchDirResponse: {
      start: "event: WatchDirResponse.StartEvent 1",
      filesystem: "event: FilesystemEvent 2",
      keepalive: "event: WatchDirResponse.KeepAlive 3",
    },
    "WatchDirResponse.StartEvent": {},
    "WatchDirResponse.KeepAlive": {},
    CreateWatcherRequest: WATCH,
    CreateWatcherResponse: { watcher_id: "string 1" },
    GetWatcherEventsRequest: { watcher_id: "string 1" },
    GetWatcherEventsResponse: { events: "repeated FilesystemEvent 1" },
    RemoveWatcherRequest: { watcher_id: "string 1" },
    RemoveWatcherResponse: {},
  },
  enums: { FileType: FILE_TYPE, EventType: EVENT_TYPE },
  services: {
    Filesystem: {
      Stat: "StatRequest -> StatResponse",
      MakeDir: "MakeDirRequest -> MakeDirResponse",
      Move: "MoveRequest -> MoveResponse",
      ListDir: "ListDirRequest -> ListDirResponse",
      Remove: "RemoveRequest -> RemoveResponse",
      WatchDir: "WatchDirRequest -> stream WatchDirResponse",
      CreateWatcher: "CreateWatcherRequest -> CreateWatcherResponse",
      GetWatcherEvents: "GetWatcherEventsRequest -> GetWatcherEventsResponse",
      RemoveWatcher: "RemoveWatcherRequest -> RemoveWatcherResponse",
    },
  },
});

type Named<Name extends string, Fields = object> = Message<`filesystem.${Name}`> & Fields;
type Case<Cases> = { [K in keyof Cases]: { case: K; value: Cases[K] } }[keyof Cases] | { case: undefined; value?: undefined };
type Unary<I extends Message, O extends Message> = { methodKind: "unary"; input: GenMessage<I>; output: GenMessage<O> };
type Streaming<I extends Message, O extends Message> = { methodKind: "server_streaming"; input: GenMessage<I>; output: GenMessage<O> };

interface Entry {
  name: string;
  type: number;
  path: string;
  size: bigint;
  mode: number;
  permissions: string;
  owner: string;
  group: string;
  modifiedTime?: Timestamp;
  symlinkTarget?: string;
  metadata: Record<string, string>;
}
export type EntryInfo = Named<"EntryInfo", Entry>;
export type FilesystemEvent = Named<"FilesystemEvent", { name: string; type: number; entry?: EntryInfo }>;
interface Watch {
  path: string;
  recursive: boolean;
  includeEntry: boolean;
  allowNetworkMounts: boolean;
}
/** What the two ways to watch a directory ask for. */
export type WatchRequest = Watch;
type WatchEvent = Case<{
  start: Named<"WatchDirResponse.StartEvent">;
  filesystem: FilesystemEvent;
  keepalive: Named<"WatchDirResponse.KeepAlive">;
}>;
export type WatchDirResponse = Named<"WatchDirResponse", { event: WatchEvent }>;

interface Methods {
  stat: Unary<Named<"StatRequest", { path: string }>, Named<"StatResponse", { entry?: EntryInfo }>>;
  makeDir: Unary<Named<"MakeDirRequest", { path: string }>, Named<"MakeDirResponse", { entry?: EntryInfo }>>;
  move: Unary<Named<"MoveRequest", { source: string; destination: string }>, Named<"MoveResponse", { entry?: EntryInfo }>>;
  listDir: Unary<Named<"ListDirRequest", { path: string; depth: number }>, Named<"ListDirResponse", { entries: EntryInfo[] }>>;
  remove: Unary<Named<"RemoveRequest", { path: string }>, Named<"RemoveResponse">>;
  watchDir: Streaming<Named<"WatchDirRequest", Watch>, WatchDirResponse>;
  createWatcher: Unary<Named<"CreateWatcherRequest", Watch>, Named<"CreateWatcherResponse", { watcherId: string }>>;
  getWatcherEvents: Unary<
    Named<"GetWatcherEventsRequest", { watcherId: string }>,
    Named<"GetWatcherEventsResponse", { events: FilesystemEvent[] }>
  >;
  removeWatcher: Unary<Named<"RemoveWatcherRequest", { watcherId: string }>, Named<"RemoveWatcherResponse">>;
}

export const FilesystemService = registry.getService("filesystem.Filesystem") as unknown as GenService<{
  [K in keyof Methods]: Methods[K];
}>;
