import { z } from "zod";
import { ChmodRequest, FileInfo, MkdirRequest, RenameRequest, SandboxPath } from "../../contract/index.ts";
import { empty, json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { FileList, flag, integer, OctalMode, PathQuery } from "../schemas.ts";
import { bytes } from "../stream.ts";
import { DOWNLOAD_HEADERS, FILE_ERRORS, FILE_TAG, FILES, upload, UPLOAD_ERRORS } from "./file-route.ts";

const position = (description: string) => integer({ min: 0, max: Number.MAX_SAFE_INTEGER, description });

/** Files in a sandbox, by paths that are resolved inside it. */
export const fileRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: FILES,
      operation: "readFile",
      tag: FILE_TAG,
      summary: "Read a file",
      scope: "read",
      query: z.strictObject({
        path: SandboxPath,
        offset: position("First byte; 0 unless given."),
        length: position("At most so many bytes."),
      }),
      exampleQuery: "path=report.csv",
      answers: {
        200: {
          description: "Its bytes. Sent in chunks; a connection that breaks off means that it is not all there.",
          content: { "application/octet-stream": null },
          headers: { "x-file-info": "FileInfo as percent-encoded JSON" },
        },
      },
      errors: FILE_ERRORS,
    },
    async (call) => {
      const { path, offset, length } = call.query;
      const range = { ...(offset === undefined ? {} : { offset }), ...(length === undefined ? {} : { length }) };
      const { info, body } = await call.engine.files.read(call.who, call.id, path, range, call.signal);
      return bytes(call, body, {
        "content-type": "application/octet-stream",
        "x-file-info": encodeURIComponent(JSON.stringify(info)),
        ...DOWNLOAD_HEADERS,
      });
    },
  ),
  defineRoute(
    {
      method: "put",
      path: FILES,
      operation: "writeFile",
      tag: FILE_TAG,
      summary: "Write a file, whole or not at all",
      scope: "write",
      query: z.strictObject({
        path: SandboxPath,
        mode: OctalMode.optional().meta({ type: "string", description: "Permission bits in octal, as 0644." }),
      }),
      exampleQuery: "path=report.csv&mode=0644",
      bodyKind: { kind: "bytes", types: ["application/octet-stream"] },
      answers: { 200: { description: "The file as it stands now.", content: { "application/json": FileInfo } } },
      errors: UPLOAD_ERRORS,
    },
    async (call) => {
      const { path, mode } = call.query;
      const options = mode === undefined ? {} : { mode };
      return json(call, 200, await call.engine.files.write(call.who, call.id, path, upload(call), options, call.signal));
    },
  ),
  defineRoute(
    {
      method: "delete",
      path: FILES,
      operation: "removeFile",
      tag: FILE_TAG,
      summary: "Remove a file or directory",
      scope: "write",
      query: z.strictObject({ path: SandboxPath, recursive: flag("Also a directory that is not empty.") }),
      exampleQuery: "path=report.csv",
      answers: { 204: { description: "Removed." } },
      errors: FILE_ERRORS,
    },
    async (call) => {
      await call.engine.files.remove(call.who, call.id, call.query.path, { recursive: call.query.recursive });
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "get",
      path: `${FILES}/list`,
      operation: "listFiles",
      tag: FILE_TAG,
      summary: "List a directory",
      scope: "read",
      query: z.strictObject({
        path: SandboxPath,
        depth: integer({ min: 1, max: 64, description: "How deep; 1, the directory itself, unless given." }),
      }),
      exampleQuery: "path=.&depth=1",
      answers: { 200: { description: "What is in it.", content: { "application/json": FileList } } },
      errors: FILE_ERRORS,
    },
    async (call) =>
      json(call, 200, {
        object: "list",
        data: await call.engine.files.list(call.who, call.id, call.query.path, { depth: call.query.depth ?? 1 }),
      }),
  ),
  defineRoute(
    {
      method: "get",
      path: `${FILES}/stat`,
      operation: "statFile",
      tag: FILE_TAG,
      summary: "Look at a path, without following a symlink",
      scope: "read",
      query: PathQuery,
      exampleQuery: "path=report.csv",
      answers: { 200: { description: "What stands there.", content: { "application/json": FileInfo } } },
      errors: FILE_ERRORS,
    },
    async (call) => json(call, 200, await call.engine.files.stat(call.who, call.id, call.query.path)),
  ),
  defineRoute(
    {
      method: "post",
      path: `${FILES}/mkdir`,
      operation: "makeDirectory",
      tag: FILE_TAG,
      summary: "Make a directory",
      scope: "write",
      body: MkdirRequest,
      exampleBody: { path: "out/plots", parents: true },
      answers: { 204: { description: "Made." } },
      errors: FILE_ERRORS,
    },
    async (call) => {
      const { path, parents = false, mode } = call.body;
      await call.engine.files.mkdir(call.who, call.id, path, {
        parents,
        ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
      });
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "post",
      path: `${FILES}/rename`,
      operation: "renameFile",
      tag: FILE_TAG,
      summary: "Rename a file or directory",
      scope: "write",
      body: RenameRequest,
      exampleBody: { from: "draft.txt", to: "final.txt" },
      answers: { 204: { description: "Renamed." } },
      errors: FILE_ERRORS,
    },
    async (call) => {
      const { from, to, replace = false } = call.body;
      await call.engine.files.rename(call.who, call.id, from, to, { replace });
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "post",
      path: `${FILES}/chmod`,
      operation: "changeMode",
      tag: FILE_TAG,
      summary: "Set permission bits",
      scope: "write",
      body: ChmodRequest,
      exampleBody: { path: "run.sh", mode: "0755" },
      answers: { 204: { description: "Set." } },
      errors: FILE_ERRORS,
    },
    async (call) => {
      await call.engine.files.chmod(call.who, call.id, call.body.path, Number.parseInt(call.body.mode, 8));
      return empty(call);
    },
  ),
];
