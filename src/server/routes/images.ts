import { z } from "zod";
import {
  type ErrorCode, ImageFormat, ImageProgress, ImagePruneRequest, ImagePullRequest, ImageReference, ImageRemoval, type ImageProgress as Progress
} from "../../contract/index.ts"; // prettier-ignore
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { ImageList } from "../schemas.ts";
import { events, type ServerEvent } from "../sse.ts";
import { upload } from "./file-route.ts";

const tag = "Images";
const Backend = z.string().optional().meta({ description: "The first that keeps images unless given." });
const ERRORS: readonly ErrorCode[] = ["capability_unsupported", "no_backend", "backend_unavailable", "storage_unavailable"];
const STREAM = {
  200: {
    description: "Events named by their type: `progress`, an `image` for each, then `done`; `error` where it failed.",
    content: { "text/event-stream": ImageProgress },
  },
};
const REMOVED = { 200: { description: "What was taken away.", content: { "application/json": ImageRemoval } } };

/** Images that backends of this host keep. */
export const imageRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/images",
      operation: "listImages",
      tag,
      summary: "List images",
      scope: "read",
      query: z.strictObject({ backend: z.string().optional().meta({ description: "All that keep images unless given." }) }),
      answers: { 200: { description: "Oldest first.", content: { "application/json": ImageList } } },
      errors: ERRORS,
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.images.list(call.who, call.query) }),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/images/import",
      operation: "importImages",
      tag,
      summary: "Take in an archive of images",
      description:
        "The body is what `docker save` writes, an OCI layout as a tar, or the tar of a root file system; plain, or by gzip or zstd.",
      scope: "admin",
      query: z.strictObject({
        reference: ImageReference.optional().meta({ description: "Its name, where it is one image. Archives have names of their own." }),
        format: ImageFormat.optional().meta({ description: "auto unless given: found out." }),
        backend: Backend,
      }),
      exampleQuery: "reference=team/app:1.2",
      bodyKind: { kind: "bytes", types: ["application/x-tar", "application/octet-stream"] },
      answers: STREAM,
      errors: [...ERRORS, "body_too_large", "request_timeout"],
    },
    async (call) => events(call, named(await call.engine.images.import(call.who, upload(call), call.query, call.signal)), "done"),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/images/pull",
      operation: "pullImage",
      tag,
      summary: "Fetch an image from its registry",
      scope: "admin",
      body: ImagePullRequest,
      exampleBody: { reference: "registry.example.com/team/app:1.2" },
      answers: STREAM,
      errors: [...ERRORS, "provider_missing_dependency", "backend_rejected"],
    },
    async (call) => events(call, named(await call.engine.images.pull(call.who, call.body, call.signal)), "done"),
  ),
  defineRoute(
    {
      method: "delete",
      path: "/v1/images",
      operation: "removeImage",
      tag,
      summary: "Remove a name of an image, or the image",
      description: "The image goes with its last name, or where its id is given. `conflict` while a sandbox stands on it.",
      scope: "admin",
      query: z.strictObject({ image: ImageReference.meta({ description: "A reference or an id." }), backend: Backend }),
      exampleQuery: "image=team/app:1.2",
      answers: REMOVED,
      errors: [...ERRORS, "not_found", "conflict"],
    },
    async (call) => json(call, 200, await call.engine.images.remove(call.who, call.query.image, call.query)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/images/prune",
      operation: "pruneImages",
      tag,
      summary: "Remove images that nothing uses",
      scope: "admin",
      body: ImagePruneRequest,
      exampleBody: {},
      answers: REMOVED,
      errors: ERRORS,
    },
    async (call) => json(call, 200, await call.engine.images.prune(call.who, call.body)),
  ),
];

async function* named(source: AsyncIterable<Progress>): AsyncGenerator<ServerEvent, void, void> {
  for await (const step of source) yield { type: step.type, data: step };
}
