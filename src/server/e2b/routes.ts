import { SandboxerError, type Scope } from "../../contract/index.ts";
import type { Answer, ControlCall } from "./call.ts";
import { create } from "./create.ts";
import { info, kill, refresh, refused, setTimeout } from "./lifetime.ts";
import { list } from "./list.ts";
import { Metrics } from "./metrics.ts";
import { connect, pause } from "./pause.ts";
import { updateNetwork } from "./network.ts";
import { alias, deleteTemplate, noTemplateBuilds, snapshots } from "./templates.ts";
import { unsupported } from "./errors.ts";

/** One call of E2B's control plane. */
export interface ControlRoute {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "*";
  /** With `{id}` for what the path names; `/**` at the end for anything below. */
  readonly path: string;
  readonly scope: Scope;
  handle(call: ControlCall): Promise<Answer>;
}

/** All of them. Each is there with and without a generation (`/v2`, `/v3`) before it. */
export function controlRoutes(): readonly ControlRoute[] {
  const metrics = new Metrics();
  const write = (method: ControlRoute["method"], path: string, handle: ControlRoute["handle"]): ControlRoute => ({
    method,
    path,
    scope: "write",
    handle,
  });
  const read = (path: string, handle: ControlRoute["handle"]): ControlRoute => ({ method: "GET", path, scope: "read", handle });
  return [
    write("POST", "/sandboxes", create),
    read("/sandboxes", list),
    read("/sandboxes/metrics", absent("metrics of several sandboxes at once")),
    read("/sandboxes/{id}", info),
    write("DELETE", "/sandboxes/{id}", kill),
    write("POST", "/sandboxes/{id}/connect", connect),
    write("POST", "/sandboxes/{id}/resume", connect),
    write("POST", "/sandboxes/{id}/timeout", setTimeout),
    write("POST", "/sandboxes/{id}/refreshes", refresh),
    read("/sandboxes/{id}/metrics", (call) => metrics.answer(call)),
    write("PUT", "/sandboxes/{id}/network", updateNetwork),
    write("POST", "/sandboxes/{id}/pause", pause),
    write("POST", "/sandboxes/{id}/snapshots", refused("snapshots")),
    write("POST", "/sandboxes/{id}/fork", refused("fork")),
    read("/sandboxes/{id}/logs", refused("logs")),
    read("/snapshots", snapshots),
    read("/templates/aliases/{id}", alias),
    write("DELETE", "/templates/{id}", deleteTemplate),
    write("*", "/templates/**", noTemplateBuilds),
    write("*", "/templates", noTemplateBuilds),
    ...["volumes", "volumecontent", "secrets"].flatMap((what) => [`/${what}`, `/${what}/**`].map((path) => write("*", path, absent(what)))),
  ];
}

function absent(what: string): () => Promise<Answer> {
  return async () => {
    throw unsupported(what, "this version of sand-boxer does not have it");
  };
}

/** A path that was found. */
export interface Found {
  readonly route: ControlRoute;
  readonly params: Readonly<Record<string, string>>;
  readonly generation: 1 | 2;
}

/** Finds the route of a path, or says why there is none: `not_found`, or `method_not_allowed` where the path has other methods. */
export type FindRoute = (method: string, path: string) => Found | SandboxerError;

export function findRoute(routes: readonly ControlRoute[]): FindRoute {
  const table = routes.map((route) => ({
    route,
    pattern: new RegExp(`^${route.path.replace("{id}", "(?<id>[^/]+)").replace(/\/\*\*$/, "/.+")}$`),
  }));
  return (method, path) => {
    const [, version, rest = ""] = /^(\/v[23])?(\/.*)$/.exec(path) ?? [];
    const here = table.flatMap(({ route, pattern }) => {
      const match = pattern.exec(rest);
      return match === null ? [] : [{ route, params: decoded(match.groups ?? {}) }];
    });
    const found = here.find(({ route }) => route.method === method || route.method === "*");
    if (found !== undefined) return { ...found, generation: version === undefined ? 1 : 2 };
    const shown = path.slice(0, 256);
    if (here.length === 0) return new SandboxerError("not_found", `there is no ${method} ${shown} in this version of sand-boxer`);
    return new SandboxerError(
      "method_not_allowed",
      `${shown} has no ${method}; it has ${here.map(({ route }) => route.method).join(", ")}`,
    );
  };
}

function decoded(groups: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(groups).map(([name, text]) => {
      try {
        return [name, decodeURIComponent(text)];
      } catch {
        // As it stands: it names nothing that there is.
        return [name, text];
      }
    }),
  );
}
