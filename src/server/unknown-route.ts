import { isId, nearest, newId, SandboxerError, type Issue } from "../contract/index.ts";
import { checkHost } from "./auth.ts";
import type { HttpContext, Service } from "./call.ts";
import { failure, send, toPublic } from "./reply.ts";
import type { Route } from "./route.ts";

/** A path template with the methods it has. */
interface Known {
  readonly template: string;
  readonly pattern: RegExp;
  readonly methods: readonly string[];
}

/** Answers what no route took: OPTIONS, a wrong method (405 with Allow), an unknown address (404 with the nearest route). */
export function unknownRoute(service: Service, routes: readonly Pick<Route, "method" | "path">[]): (context: HttpContext) => Response {
  const known = knownPaths(routes);
  return (context) => {
    const requestId = newId("request");
    const to = { context, requestId };
    const { method, path } = context.req;
    let status = 404;
    try {
      checkHost(context.env.door, context.req.header("host"));
      const match = known.find(({ pattern }) => pattern.test(path));
      if (match === undefined) throw notFound(method, path, known);
      const allow = match.methods.join(", ");
      // No CORS headers, on purpose: pages of other origins get nothing.
      if (method === "OPTIONS") {
        status = 204;
        return send(to, status, null, { allow });
      }
      status = 405;
      const error = new SandboxerError("method_not_allowed", `${path} has no ${method}; it has ${allow}`);
      return failure(to, error, { allow });
    } catch (thrown) {
      const error = toPublic(thrown);
      status = error.status;
      return failure(to, error);
    } finally {
      service.counter.count(method, "none", status);
      service.log.info({ request_id: requestId, method, path: path.slice(0, 512), status }, "request");
    }
  };
}

function knownPaths(routes: readonly Pick<Route, "method" | "path">[]): Known[] {
  const byPath = new Map<string, string[]>();
  for (const { method, path } of routes) {
    const methods = byPath.get(path) ?? [];
    methods.push(...(method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()]));
    byPath.set(path, methods);
  }
  return [...byPath].map(([template, methods]) => ({
    template,
    pattern: new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`),
    methods: [...methods.toSorted(), "OPTIONS"],
  }));
}

function notFound(method: string, path: string, known: readonly Known[]): SandboxerError {
  const shown = path.length > 256 ? `${path.slice(0, 256)}...` : path;
  // Ids stand for themselves, so that only the words of the address are compared.
  const words = path
    .slice(0, 256)
    .split("/")
    .map((word) => (isId("sandbox", word) || isId("process", word) || isId("key", word) ? "*" : word))
    .join("/");
  const templates = new Map(known.map(({ template }) => [template.replaceAll(/\{\w+\}/g, "*"), template]));
  const near = templates.get(nearest(words, templates.keys()) ?? "");
  const issue: Issue = { path: "", message: "no such route", ...(near === undefined ? {} : { nearest: near }) };
  return new SandboxerError("not_found", `there is no ${method} ${shown}${near === undefined ? "" : `; nearest: ${near}`}`, {
    issues: [issue],
  });
}
