import { AddressRequest, PortAddress, PortInfo, PublishRequest, SandboxerError } from "../../contract/index.ts";
import type { Call, Service } from "../call.ts";
import type { PreviewAddresses } from "../preview/addresses.ts";
import { empty, json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { PortList } from "../schemas.ts";

const tag = "Ports";
const portAnswer = (description: string) => ({ description, content: { "application/json": PortInfo } });

/** Ports of sandboxes that can be reached from outside. */
export const portRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/ports",
      operation: "publishPort",
      tag,
      summary: "Publish a port, or change how it is published",
      description:
        "Only what the profile or the operator allows; a wider wish is refused. Addresses that were given out before stop working.",
      scope: "write",
      body: PublishRequest,
      exampleBody: { port: 3000, visibility: "token", ttl: "2h" },
      answers: { 200: portAnswer("The port as it is published now.") },
      errors: ["sandbox_not_found", "wrong_state", "policy_denied", "capability_unsupported", "storage_unavailable"],
    },
    async (call) => json(call, 200, addressesOf(call.service).describe(await call.engine.ports.publish(call.who, call.id, call.body))),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/ports",
      operation: "listPorts",
      tag,
      summary: "List the ports that can be reached from outside",
      scope: "read",
      answers: {
        200: { description: "By the profile or by a call; none of a sandbox that has ended.", content: { "application/json": PortList } },
      },
      errors: ["sandbox_not_found"],
    },
    async (call) => {
      const addresses = addressesOf(call.service);
      const data = (await call.engine.ports.list(call.who, call.id)).map((port) => addresses.describe(port));
      return json(call, 200, { object: "list", data });
    },
  ),
  defineRoute(
    {
      method: "delete",
      path: "/v1/sandboxes/{id}/ports/{port}",
      operation: "unpublishPort",
      tag,
      summary: "Take a port back",
      description: "Also one that the profile lists, for the rest of this sandbox's life. Visits that are under way end.",
      scope: "write",
      answers: { 204: { description: "It can no longer be reached." } },
      errors: ["sandbox_not_found", "wrong_state", "not_found", "storage_unavailable"],
    },
    async (call) => {
      await call.engine.ports.unpublish(call.who, call.id, portOf(call));
      return empty(call);
    },
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/sandboxes/{id}/ports/{port}/address",
      operation: "signPortAddress",
      tag,
      summary: "Make an address that lets its holder in",
      description:
        "For a token port as often as its holder likes until it expires; for a private one it opens one session in one browser; a public one needs none.",
      scope: "write",
      body: AddressRequest,
      exampleBody: { ttl: "1h", path: "/" },
      answers: { 200: { description: "The address. It is a secret.", content: { "application/json": PortAddress } } },
      errors: ["sandbox_not_found", "not_found", "wrong_state"],
    },
    async (call) => {
      const port = portOf(call);
      const publication = (await call.engine.ports.list(call.who, call.id)).find((one) => one.port === port);
      if (publication === undefined) throw new SandboxerError("not_found", `port ${port} of sandbox ${call.id} is not published`);
      const { ttl, path } = call.body;
      const wanted = { ...(ttl === undefined ? {} : { ttl }), ...(path === undefined ? {} : { path }) };
      return json(call, 200, addressesOf(call.service).sign(publication, call.who.key_id, wanted));
    },
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/sandboxes/{id}/ports/{port}/tunnel",
      operation: "openTunnel",
      tag,
      summary: "Open a tunnel to a port, published or not",
      description:
        "An upgrade to the protocol `sandboxer-tunnel`, over HTTP/1.1: bytes to the port and back, without a frame. For programs that have a key; pages are refused.",
      scope: "write",
      answers: { 101: { description: "Switched: the connection is the port's." } },
      errors: ["sandbox_not_found", "wrong_state", "port_closed", "capability_unsupported", "quota_exceeded"],
    },
    () => {
      throw new SandboxerError("invalid_request", "this route is a tunnel; send 'Upgrade: sandboxer-tunnel'", {
        hint: "Use 'sand-boxer forward ID PORT'.",
      });
    },
  ),
];

function addressesOf({ addresses }: Service): PreviewAddresses {
  if (addresses === undefined) throw new SandboxerError("capability_unsupported", "ports: this server does not serve them");
  return addresses;
}

function portOf(call: Call): number {
  const text = call.params["port"] ?? "";
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  const message = "must be a number from 1 to 65535";
  throw new SandboxerError("invalid_request", `"port" in the address ${message}`, { issues: [{ path: "port", message }] });
}
