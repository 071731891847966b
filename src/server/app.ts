import { Hono } from "hono";
import type { Bindings, Service } from "./call.ts";
import { docsRoute, openApiRoute } from "./docs/routes.ts";
import { mount } from "./mount.ts";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes/all.ts";
import { unknownRoute } from "./unknown-route.ts";

/** All routes on one router. No middleware: each route's own handler does what every request needs, once. */
export function createApp(service: Service): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  // Building the document takes a library that nothing else needs.
  const describe = async () => (await import("./openapi.ts")).openApiText(routes, service.version);
  let document: Promise<string> | undefined;
  const routes: readonly Route[] = [...ROUTES, openApiRoute(() => (document ??= describe())), docsRoute];
  for (const route of routes) app.on(route.method, route.path.replaceAll(/\{(\w+)\}/g, ":$1"), mount(service, route));
  const unknown = unknownRoute(service, routes);
  app.notFound((context) => unknown(context));
  return app;
}
