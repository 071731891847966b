import type { z } from "zod";
import type { ErrorCode, Scope } from "../contract/index.ts";
import type { Call } from "./call.ts";
import type { DocumentType } from "./document.ts";
import type { CallKind } from "./open-calls.ts";
import { NoParameters } from "./schemas.ts";

/** An answer that is not an error, as the OpenAPI document tells of it. */
interface Answer {
  readonly description: string;
  /** By content type; `null`: bytes. None: an answer without a body. */
  readonly content?: Readonly<Record<string, z.ZodType | null>>;
  readonly example?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How a route takes its body. */
type BodyKind =
  /** None; an empty JSON object is let through, as many clients send one. */
  | { readonly kind: "none" }
  | { readonly kind: "document"; readonly types: readonly DocumentType[] }
  /** The route reads it itself, piece by piece. */
  | { readonly kind: "bytes"; readonly types: readonly string[] }
  /** A document, or bytes where the content type says so; the handler finds `body` undefined then. */
  | { readonly kind: "document-or-bytes"; readonly types: readonly DocumentType[]; readonly byteTypes: readonly string[] };

/** One route: what is checked before its handler runs, and what the reference says of it. */
export interface Route {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** With `{id}` for parameters. */
  readonly path: string;
  /** Its name in the OpenAPI document, as `createSandbox`. */
  readonly operation: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** What the key must be allowed; "open" needs no key at all. */
  readonly scope: Scope | "open";
  /** Ends at once when the server closes, as it would never end by itself. */
  readonly kind: CallKind;
  readonly query: z.ZodType;
  /** Descriptions of request headers the route reads beside the usual ones. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyKind: BodyKind;
  readonly body: z.ZodType | undefined;
  /** The body's schema for the reference, where someone else checks it. */
  readonly reference: z.ZodType | undefined;
  readonly exampleQuery: string;
  readonly exampleBody: unknown;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Beside those that every route has. */
  readonly errors: readonly ErrorCode[];
  handle(call: Call): Promise<Response> | Response;
}

interface RouteFields<Query extends z.ZodType, Body extends z.ZodType> {
  method: Route["method"];
  path: string;
  operation: string;
  tag: string;
  summary: string;
  description?: string;
  scope: Route["scope"];
  kind?: CallKind;
  query?: Query;
  headers?: Route["headers"];
  body?: Body;
  reference?: z.ZodType;
  bodyKind?: BodyKind;
  exampleQuery?: string;
  exampleBody?: unknown;
  answers: Route["answers"];
  errors?: readonly ErrorCode[];
}

/** Types the handler's query and body by their schemas. */
export function defineRoute<Query extends z.ZodType = z.ZodType, Body extends z.ZodType = z.ZodType>(
  fields: RouteFields<Query, Body>,
  handle: (call: Call<z.output<Query>, z.output<Body>>) => Promise<Response> | Response,
): Route {
  const {
    description,
    kind = "work",
    query = NoParameters,
    headers = {},
    body,
    reference = body,
    exampleQuery = "",
    exampleBody,
    errors = [],
    ...rest
  } = fields;
  const bodyKind: BodyKind = fields.bodyKind ?? (body === undefined ? { kind: "none" } : { kind: "document", types: ["application/json"] });
  return {
    ...rest,
    ...(description === undefined ? {} : { description }),
    kind,
    query,
    headers,
    body,
    reference,
    bodyKind,
    exampleQuery,
    exampleBody,
    errors,
    handle,
  };
}
