import { z } from "zod";
import { SweepReport } from "../../contract/index.ts";
import { prometheusText } from "../metrics.ts";
import { json, send } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { BackendList, Health } from "../schemas.ts";

/** The server itself: its backends, its health and its housekeeping. */
export const serviceRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/health",
      operation: "health",
      tag: "Server",
      summary: "Whether the server works",
      scope: "open",
      answers: {
        200: { description: "It works, perhaps degraded: see the checks.", content: { "application/json": Health } },
      },
    },
    async (call) => {
      const { status, checks } = await call.engine.health();
      return json(call, 200, { status, version: call.service.version, checks });
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/metrics",
      operation: "metrics",
      tag: "Server",
      summary: "Metrics for Prometheus",
      scope: "admin",
      answers: { 200: { description: "Prometheus text format 0.0.4.", content: { "text/plain": z.string() } } },
    },
    async (call) => {
      const { counter, open } = call.service;
      const samples = [...(await call.engine.metrics(call.who)), ...counter.samples(open.count)];
      return send(call, 200, prometheusText(samples), { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/backends",
      operation: "listBackends",
      tag: "Server",
      summary: "List backends as they were probed",
      scope: "read",
      answers: {
        200: {
          description: "All of them, also those that are not available, with the reason.",
          content: { "application/json": BackendList },
        },
      },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.backends(call.who) }),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/sweep",
      operation: "sweep",
      tag: "Server",
      summary: "Sweep now: end what has expired, remove orphans",
      scope: "admin",
      answers: { 200: { description: "What was found and done.", content: { "application/json": SweepReport } } },
    },
    async (call) => json(call, 200, await call.engine.sweep({ who: call.who })),
  ),
];
