import { z } from "zod";
import { send } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";

/** The OpenAPI document. */
export function openApiRoute(text: () => Promise<string>): Route {
  return defineRoute(
    {
      method: "get",
      path: "/openapi.json",
      operation: "openapi",
      tag: "Server",
      summary: "This API as an OpenAPI 3.1 document",
      scope: "open",
      answers: { 200: { description: "The document.", content: { "application/json": z.record(z.string(), z.unknown()) } } },
    },
    async (call) => send(call, 200, await text(), { "content-type": "application/json" }),
  );
}

/** The reference page: everything is in it, nothing is fetched but the OpenAPI document beside it. */
export const docsRoute: Route = defineRoute(
  {
    method: "get",
    path: "/docs",
    operation: "docs",
    tag: "Server",
    summary: "The reference page",
    scope: "open",
    answers: { 200: { description: "A page for people.", content: { "text/html": z.string() } } },
  },
  async (call) => {
    const { DOCS_PAGE, DOCS_POLICY } = await import("./page.ts");
    return send(call, 200, DOCS_PAGE, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": DOCS_POLICY,
      "referrer-policy": "no-referrer",
    });
  },
);
