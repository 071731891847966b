import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { ERROR_TABLE, type ErrorCode } from "../contract/index.ts";
import type { Route } from "./route.ts";
import { ErrorBody } from "./schemas.ts";

type Registered = Parameters<OpenAPIHono["openAPIRegistry"]["registerPath"]>[0];
type Content = Record<string, { schema: z.ZodType; example?: unknown }>;

const Bytes = z.string().meta({ id: "Bytes", format: "binary", description: "Bytes, as they are." });

const TAGS = [
  { name: "Sandboxes", description: "Make them, find them, keep them, end them." },
  { name: "Exec", description: "A command, run to its end." },
  { name: "Processes", description: "Commands that go on in the background, and can be attached to." },
  {
    name: "Files",
    description: "Bytes in and out, by paths that are resolved inside the sandbox. Paths in queries are percent-escapes of raw bytes.",
  },
  { name: "Ports", description: "Servers inside, as they are reached from outside." },
  { name: "Services", description: "What a profile has run beside a sandbox, such as a database." },
  { name: "Profiles", description: "What a sandbox is: named, versioned, immutable." },
  { name: "Events", description: "Everything that happened, in order." },
  { name: "Webhooks", description: "Where events are told to, signed and until they are taken." },
  { name: "Audit", description: "Who did what, chained by hashes." },
  { name: "Keys", description: "Who may do what." },
  { name: "Tenants", description: "Whose everything is, its parts, and how much of it there may be." },
  { name: "Hosts", description: "Machines that become backends while servers run." },
  { name: "Policy", description: "The rules of admission: who may do what to what." },
  { name: "Network", description: "What sandboxes may reach, and what was decided of what they tried." },
  { name: "Secrets", description: "Values that sandboxes use and never see." },
  { name: "Money", description: "What sandboxes cost, what they may, and who pays." },
  { name: "Server", description: "Backends, health and housekeeping." },
];

/** The OpenAPI 3.1 document of the routes, as JSON text. Generated from the same schemas that check the requests. */
export function openApiText(routes: readonly Route[], version: string): string {
  const app = new OpenAPIHono();
  app.openAPIRegistry.registerComponent("securitySchemes", "key", {
    type: "http",
    scheme: "bearer",
    bearerFormat: "sbx_<40 hex digits>",
    description: "A key made with `sand-boxer keys create`. The server's Unix socket needs none.",
  });
  for (const code of Object.keys(ERROR_TABLE) as ErrorCode[])
    app.openAPIRegistry.registerComponent("examples", code, { value: exampleError(code) });
  for (const route of routes) app.openAPIRegistry.registerPath(registered(route));
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "sand-boxer",
      version,
      license: { name: "Apache-2.0" },
      description:
        "One API gives an AI agent a sandbox. JSON in snake_case; every error has one form, with a code, what to do next, and the request's id.",
    },
    tags: TAGS,
  });
  return JSON.stringify(document);
}

function registered(route: Route): Registered {
  const params = [...route.path.matchAll(/\{(\w+)\}/g)].map(
    ([, name = ""]) => [name, z.string().meta({ description: parameterText(route, name) })] as const,
  );
  const headers = Object.entries(route.headers).map(([name, description]) => [name, z.string().optional().meta({ description })] as const);
  return {
    method: route.method,
    path: route.path,
    operationId: route.operation,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    security: route.scope === "open" ? [] : [{ key: [] }],
    "x-scope": route.scope,
    ...(route.exampleQuery === "" ? {} : { "x-example-query": route.exampleQuery }),
    request: {
      ...(params.length > 0 ? { params: z.object(Object.fromEntries(params)) } : {}),
      ...(route.query instanceof z.ZodObject ? { query: route.query } : {}),
      ...(headers.length > 0 ? { headers: z.object(Object.fromEntries(headers)) } : {}),
      ...requestBody(route),
    },
    responses: { ...answers(route), ...errorAnswers(route) },
  } as Registered;
}

function parameterText(route: Route, name: string): string {
  if (name === "pid") return "Id of a process.";
  if (route.path.startsWith("/v1/secrets")) return "Name of a secret.";
  if (route.path.startsWith("/v1/budgets")) return "Name of a budget.";
  if (route.path.startsWith("/v1/accounts")) return "Name of an account.";
  if (name === "service") return "Name of a service in the profile.";
  if (name === "port") return "A TCP port inside.";
  if (name === "name") return "`name`, or `name@version`.";
  return route.path.startsWith("/v1/keys") ? "Id of a key." : "Id of a sandbox.";
}

function requestBody({ bodyKind, reference, exampleBody }: Route): { body?: { required: boolean; content: Content } } {
  if (bodyKind.kind === "none") return {};
  const content: Content = {};
  const example = exampleBody === undefined ? {} : { example: exampleBody };
  if (bodyKind.kind !== "bytes" && reference !== undefined) {
    for (const type of bodyKind.types) content[type] = { schema: reference, ...(type === "application/json" ? example : {}) };
  }
  const byteTypes = bodyKind.kind === "bytes" ? bodyKind.types : bodyKind.kind === "document-or-bytes" ? bodyKind.byteTypes : [];
  for (const type of byteTypes) content[type] = { schema: Bytes };
  return { body: { required: true, content } };
}

function answers(route: Route): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, { description, content = {}, headers = {} }]) => [
      status,
      {
        description,
        headers: { "x-request-id": headerText("Names this request, in the log too."), ...mapValues(headers, headerText) },
        ...(Object.keys(content).length > 0 ? { content: mapValues(content, (schema) => ({ schema: schema ?? Bytes })) } : {}),
      },
    ]),
  );
}

function headerText(description: string): { description: string; schema: { type: "string" } } {
  return { description, schema: { type: "string" } };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

/** The codes a route can answer with: its own, and those of what is checked before it runs. */
function errorCodes(route: Route): ErrorCode[] {
  const codes = new Set<ErrorCode>(["invalid_request", "headers_too_large", "internal", "shutting_down"]);
  if (route.scope === "open") codes.add("forbidden");
  else for (const code of ["unauthorized", "forbidden"] as const) codes.add(code);
  if (route.bodyKind.kind !== "none" || route.method !== "get") {
    for (const code of ["body_too_large", "unsupported_media_type", "request_timeout"] as const) codes.add(code);
  }
  for (const code of route.errors) codes.add(code);
  return [...codes];
}

function errorAnswers(route: Route): Record<string, unknown> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorCodes(route)) {
    const { status } = ERROR_TABLE[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: codes.map((code) => `\`${code}\``).join(", "),
        content: {
          "application/json": {
            schema: ErrorBody,
            examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
          },
        },
      },
    ]),
  );
}

function exampleError(code: ErrorCode): unknown {
  const { hint, retryable } = ERROR_TABLE[code];
  const issues =
    code === "invalid_request" ? { issues: [{ path: "tll", message: 'unknown key "tll"; nearest: "ttl"', nearest: "ttl" }] } : {};
  return {
    error: { code, message: "What happened, in one sentence.", hint, retryable, ...issues, request_id: "rq01kb8t4m9zk3v5x7qpw2ch6dn" },
  };
}
