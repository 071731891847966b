import { z } from "zod";
import { type ErrorCode, Fork, ForkRequest, SnapshotInfo, SnapshotRequest, SnapshotTree } from "../../contract/index.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { SnapshotList } from "../schemas.ts";
import { bytes } from "../stream.ts";
import { DOWNLOAD_HEADERS, upload } from "./file-route.ts";

const tag = "Snapshots";
const one = "/v1/snapshots/{id}";
const answer = (description: string) => ({ description, content: { "application/json": SnapshotInfo } });
const TAKING: readonly ErrorCode[] = [
  "sandbox_not_found", "wrong_state", "wrong_host", "capability_unsupported", "policy_denied", "quota_exceeded", "backend_unavailable", "storage_unavailable",
]; // prettier-ignore
const FORKING: readonly ErrorCode[] = [...TAKING, "budget_exceeded", "isolation_unavailable", "no_backend", "timeout"];

/** What was kept of sandboxes, and sandboxes that go on from it. */
export const snapshotRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/snapshots",
      operation: "takeSnapshot",
      tag,
      summary: "Keep what a sandbox has written",
      description: "It stands still while its changed files are copied, and goes on. Of `kind` there is `disk` in this version.",
      scope: "write",
      body: SnapshotRequest,
      exampleBody: { name: "before the upgrade", ttl: "7d" },
      answers: { 201: answer("Whole, and on the disk.") },
      errors: TAKING,
    },
    async (call) => json(call, 201, await call.engine.snapshots.create(call.who, call.id, call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/fork",
      operation: "forkSandbox",
      tag,
      summary: "Make sandboxes that go on from where one is now",
      description:
        "All or none. Each has an id, tokens and a host name of its own, and the rules that hold now. The snapshot between goes with the last.",
      scope: "write",
      body: ForkRequest,
      exampleBody: { count: 3 },
      answers: { 201: { description: "All are ready.", content: { "application/json": Fork } } },
      errors: FORKING,
    },
    async (call) => json(call, 201, await call.engine.fork(call.who, call.id, call.body, call.signal)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/snapshots",
      operation: "listSnapshots",
      tag,
      summary: "List snapshots",
      scope: "read",
      answers: { 200: { description: "Oldest first.", content: { "application/json": SnapshotList } } },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.snapshots.list(call.who) }),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/snapshots/tree",
      operation: "snapshotTree",
      tag,
      summary: "Who came from whom",
      scope: "read",
      answers: { 200: { description: "Sandboxes and snapshots by their parents.", content: { "application/json": SnapshotTree } } },
    },
    async (call) => json(call, 200, await call.engine.snapshots.tree(call.who)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/snapshots/import",
      operation: "importSnapshot",
      tag,
      summary: "Take in an exported snapshot",
      scope: "write",
      query: z.strictObject({
        name: z.string().max(128).optional(),
        backend: z.string().optional().meta({ description: "The first that keeps snapshots unless given." }),
      }),
      exampleQuery: "name=from-elsewhere",
      bodyKind: { kind: "bytes", types: ["application/x-tar", "application/octet-stream"] },
      answers: { 201: answer("Whole, and on the disk.") },
      errors: ["capability_unsupported", "no_backend", "quota_exceeded", "body_too_large", "request_timeout", "storage_unavailable"],
    },
    async (call) => json(call, 201, await call.engine.snapshots.import(call.who, upload(call), call.query, call.signal)),
  ),
  defineRoute(
    {
      method: "get",
      path: one,
      operation: "getSnapshot",
      tag,
      summary: "Read a snapshot",
      scope: "read",
      answers: { 200: answer("The snapshot.") },
      errors: ["not_found"],
    },
    async (call) => json(call, 200, await call.engine.snapshots.get(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "delete",
      path: one,
      operation: "removeSnapshot",
      tag,
      summary: "Remove a snapshot",
      description: "`conflict` while a sandbox or another snapshot comes from it.",
      scope: "write",
      answers: { 200: answer("What it was; nothing of it is left.") },
      errors: ["not_found", "conflict", "wrong_state", "wrong_host", "backend_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.snapshots.remove(call.who, call.id)),
  ),
  defineRoute(
    {
      method: "get",
      path: `${one}/export`,
      operation: "exportSnapshot",
      tag,
      summary: "Read a snapshot as one portable file",
      description: "With all that it stands on, but what the host itself brings.",
      scope: "read",
      answers: { 200: { description: "A tar that `import` takes.", content: { "application/x-tar": null } } },
      errors: ["not_found", "wrong_state", "wrong_host", "backend_rejected", "backend_unavailable", "storage_unavailable"],
    },
    async (call) =>
      bytes(call, await call.engine.snapshots.export(call.who, call.id, call.signal), {
        "content-type": "application/x-tar",
        ...DOWNLOAD_HEADERS,
      }),
  ),
];
