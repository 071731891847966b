import { z } from "zod";
import { FileEvent, SandboxPath, type FileEvent as FileEventType } from "../../contract/index.ts";
import { empty } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { flag, PathQuery } from "../schemas.ts";
import { events, type ServerEvent } from "../sse.ts";
import { bytes } from "../stream.ts";
import { DOWNLOAD_HEADERS, FILE_ERRORS, FILE_TAG, FILES, upload, UPLOAD_ERRORS } from "./file-route.ts";

/** Whole trees in a sandbox: as tar both ways, and watched. */
export const treeRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: `${FILES}/tar`,
      operation: "exportTree",
      tag: FILE_TAG,
      summary: "Read a tree as tar",
      scope: "read",
      query: PathQuery,
      exampleQuery: "path=out",
      answers: { 200: { description: "An uncompressed tar with names relative to the path.", content: { "application/x-tar": null } } },
      errors: FILE_ERRORS,
    },
    async (call) =>
      bytes(call, await call.engine.files.exportTree(call.who, call.id, call.query.path, call.signal), {
        "content-type": "application/x-tar",
        ...DOWNLOAD_HEADERS,
      }),
  ),
  defineRoute(
    {
      method: "put",
      path: `${FILES}/tar`,
      operation: "importTree",
      tag: FILE_TAG,
      summary: "Unpack a tar into a directory",
      scope: "write",
      query: PathQuery,
      exampleQuery: "path=in",
      bodyKind: { kind: "bytes", types: ["application/x-tar", "application/octet-stream"] },
      answers: { 204: { description: "Unpacked." } },
      errors: UPLOAD_ERRORS,
    },
    async (call) => {
      await call.engine.files.importTree(call.who, call.id, call.query.path, upload(call), call.signal);
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "get",
      path: `${FILES}/watch`,
      operation: "watchFiles",
      tag: FILE_TAG,
      summary: "Watch a directory",
      description: "Goes on until the client leaves or the sandbox ends. `overflow`: events were lost; list again.",
      scope: "read",
      kind: "follower",
      query: z.strictObject({ path: SandboxPath, recursive: flag("Also what is below.") }),
      exampleQuery: "path=.&recursive=true",
      answers: { 200: { description: "Events named by their type.", content: { "text/event-stream": FileEvent } } },
      errors: FILE_ERRORS,
    },
    async (call) => {
      const { path, recursive } = call.query;
      return events(call, fileEvents(await call.engine.files.watch(call.who, call.id, path, { recursive }, call.signal)));
    },
  ),
];

async function* fileEvents(source: AsyncIterable<FileEventType>): AsyncGenerator<ServerEvent, void, void> {
  for await (const event of source) yield { type: event.type, data: event };
}
