import { posix } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { SandboxerError, type FileEvent } from "../../../../contract/index.ts";
import { withPulse } from "../pulse.ts";
import type { Session } from "../session.ts";
import { EVENT_TYPE, type FilesystemService, type WatchRequest } from "../wire/filesystem.ts";
import { entryOf } from "./entry.ts";

/** One event of the wire. */
export type WireEvent = NonNullable<MessageInitShape<typeof FilesystemService.method.getWatcherEvents.output>["events"]>[number];

const TYPES: Readonly<Record<Exclude<FileEvent["type"], "overflow">, number>> = {
  created: EVENT_TYPE.EVENT_TYPE_CREATE,
  modified: EVENT_TYPE.EVENT_TYPE_WRITE,
  removed: EVENT_TYPE.EVENT_TYPE_REMOVE,
  renamed: EVENT_TYPE.EVENT_TYPE_RENAME,
  attributes: EVENT_TYPE.EVENT_TYPE_CHMOD,
};

/**
 * First `armed`, when nothing that happens is missed any more; then the events, and undefined whenever there was none for
 * `idleMs`. Ends with the signal.
 *
 * @throws SandboxerError `file_not_found`; `invalid_request` where it is no directory; `outcome_unknown` where events were lost.
 */
export async function* watchDirectory(
  session: Session,
  request: WatchRequest,
  idleMs: number,
  signal: AbortSignal,
): AsyncGenerator<"armed" | WireEvent | undefined> {
  const path = session.path(request.path);
  const { engine, who, id } = session;
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const armed = Promise.withResolvers<void>();
  const source = await engine.files.watch(who, id, path, { recursive: request.recursive, onArmed: armed.resolve }, ended);
  const events = withPulse(session, source, idleMs, ended);
  try {
    let first = events.next();
    // A source that fails before it is armed never says so.
    await Promise.race([armed.promise, first]);
    yield "armed";
    for (; ; first = events.next()) {
      const { done, value } = await first;
      if (done === true) return;
      // The directory's own changes have no name relative to it.
      if (value === undefined) yield undefined;
      else if (value.path !== path) yield await wireEvent(session, path, value, request.includeEntry);
    }
  } finally {
    stop.abort();
    await events.return(undefined);
  }
}

async function wireEvent(session: Session, root: string, { type, path }: FileEvent, includeEntry: boolean): Promise<WireEvent> {
  if (type === "overflow") throw new SandboxerError("outcome_unknown", "events were lost: list the directory and watch again");
  const event: WireEvent = { name: path.startsWith(`${root}/`) ? posix.relative(root, path) : posix.basename(path), type: TYPES[type] };
  if (!includeEntry || type === "removed" || type === "renamed") return event;
  try {
    return { ...event, entry: await entryOf(session, await session.engine.files.stat(session.who, session.id, path), path) };
  } catch (thrown) {
    // Gone again meanwhile: the event stands without it.
    if (thrown instanceof SandboxerError && thrown.code === "file_not_found") return event;
    throw thrown;
  }
}
