import type { z } from "zod";
import { HostChange, HostChanged, HostCheck, HostInfo, HostRequest } from "../../contract/index.ts";
import { empty, json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { HostList } from "../schemas.ts";

const tag = "Hosts";
const answer = (description: string, schema: z.ZodType) => ({ description, content: { "application/json": schema } });

/** Hosts that become backends while servers run. */
export const hostRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/hosts",
      operation: "addHost",
      tag,
      summary: "Add a host: a backend of its name, at every server of the ledger",
      description: "One that cannot be reached now is added all the same: `available` says so, and the sweep tries again.",
      scope: "admin",
      body: HostRequest,
      exampleBody: {
        name: "box1",
        provider: "ssh",
        options: { reach: { form: "direct", address: "127.0.0.1", port: 1 }, host_key: { form: "known-hosts" } },
        capacity: { cpu: 8, memory: "16GiB", sandboxes: 20 },
      },
      answers: { 201: answer("The host.", HostInfo) },
      errors: ["conflict", "provider_missing_dependency", "storage_unavailable"],
    },
    async (call) => json(call, 201, await call.engine.hosts.add(call.who, call.body)),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/hosts",
      operation: "listHosts",
      tag,
      summary: "List hosts, their capacity and what is used of it",
      scope: "admin",
      answers: { 200: answer("All of them.", HostList) },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.hosts.list(call.who) }),
  ),
  defineRoute(
    {
      method: "patch",
      path: "/v1/hosts/{name}",
      operation: "changeHost",
      tag,
      summary: "Drain a host or open it again, or set its capacity",
      description:
        "Draining moves nothing: nothing new goes there, and `remaining` names what still lives there. `capacity` replaces all of it.",
      scope: "admin",
      body: HostChange,
      exampleBody: { draining: true },
      answers: { 200: answer("The host, and the sandboxes there that have not ended.", HostChanged) },
      errors: ["not_found", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.hosts.change(call.who, call.params["name"] ?? "", call.body)),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/hosts/{name}/check",
      operation: "checkHost",
      tag,
      summary: "Ask a host whether it is there, and what it gives",
      scope: "admin",
      answers: { 200: answer("What it said, or why it could not be asked.", HostCheck) },
      errors: ["not_found"],
    },
    async (call) => json(call, 200, await call.engine.hosts.check(call.who, call.params["name"] ?? "")),
  ),
  defineRoute(
    {
      method: "delete",
      path: "/v1/hosts/{name}",
      operation: "removeHost",
      tag,
      summary: "Remove a host from the inventory",
      description: "`conflict` while sandboxes there have not ended.",
      scope: "admin",
      answers: { 204: { description: "Removed." } },
      errors: ["not_found", "conflict", "storage_unavailable"],
    },
    async (call) => {
      await call.engine.hosts.remove(call.who, call.params["name"] ?? "");
      return empty(call);
    },
  ),
];
