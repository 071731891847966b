import { parse, SandboxerError, type Principal } from "../../contract/index.ts";
import type { z } from "zod";
import { hasBody } from "../body.ts";
import type { Call, HttpContext } from "../call.ts";
import { readDocument } from "../document.ts";
import type { E2bContext } from "./context.ts";
import { ControlQuery } from "./query.ts";

/** What a control-plane route answers; a body of `null` has none. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One control-plane request, whose caller is known and may do this. */
export class ControlCall {
  readonly ctx: E2bContext;
  readonly call: Call;
  /** Which generation of paths was used: `/sandboxes` is 1, `/v2/sandboxes` is 2. */
  readonly generation: 1 | 2;
  readonly query: ControlQuery;

  constructor(ctx: E2bContext, call: Call, generation: 1 | 2) {
    this.ctx = ctx;
    this.call = call;
    this.generation = generation;
    this.query = new ControlQuery(new URL(call.context.req.url).searchParams);
  }

  get who(): Principal {
    return this.call.who;
  }

  get context(): HttpContext {
    return this.call.context;
  }

  /** Whatever the path names in that place. */
  param(name: "id"): string {
    return this.call.params[name] ?? "";
  }

  /** The body by its schema; an absent one and a `null` field are as if nothing was said. */
  async body<Schema extends z.ZodType>(schema: Schema): Promise<z.output<Schema>> {
    const document = hasBody(this.context) ? await readDocument(this.context, this.ctx.limits, ["application/json"]) : {};
    if (typeof document !== "object" || document === null || Array.isArray(document))
      throw new SandboxerError("invalid_request", "the body is not a JSON object");
    const said = Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null));
    return parse(schema, said, { what: "body" });
  }
}

export const NO_CONTENT: Answer = { status: 204, body: null };
