import { LabelsRequest, Profile, ProfileRecord, SandboxerError } from "../../contract/index.ts";
import type { Call } from "../call.ts";
import { json } from "../reply.ts";
import { defineRoute, type Route } from "../route.ts";
import { ProfileList } from "../schemas.ts";

const profileAnswer = (description: string) => ({ description, content: { "application/json": ProfileRecord } });

/** Profiles: named, versioned, immutable. */
export const profileRoutes: readonly Route[] = [
  defineRoute(
    {
      method: "get",
      path: "/v1/profiles",
      operation: "listProfiles",
      tag: "Profiles",
      summary: "List profiles",
      scope: "read",
      answers: { 200: { description: "The newest version of each.", content: { "application/json": ProfileList } } },
    },
    async (call) => json(call, 200, { object: "list", data: await call.engine.profiles.list(call.who) }),
  ),
  defineRoute(
    {
      method: "get",
      path: "/v1/profiles/{name}",
      operation: "getProfile",
      tag: "Profiles",
      summary: "Read a profile",
      description: "`name` is the newest version, `name@version` that one.",
      scope: "read",
      answers: { 200: profileAnswer("The profile.") },
      errors: ["profile_not_found"],
    },
    async (call) => json(call, 200, await call.engine.profiles.get(call.who, profileName(call))),
  ),
  defineRoute(
    {
      method: "post",
      path: "/v1/profiles",
      operation: "applyProfile",
      tag: "Profiles",
      summary: "Store a profile version",
      description:
        "Versions never change: the same content again is answered as it is, other content under the same version is `conflict`.",
      scope: "write",
      bodyKind: { kind: "document", types: ["application/json", "application/yaml"] },
      // Checked by the engine, which keeps the document as it was written.
      reference: Profile,
      exampleBody: { kind: "profile", name: "small", version: 1, resources: { cpu: 0.5, memory: "256MiB" }, lifetime: { ttl: "10m" } },
      answers: { 201: profileAnswer("Stored."), 200: profileAnswer("Was stored already.") },
      errors: ["conflict", "storage_unavailable"],
    },
    async (call) => {
      const { profile, created } = await call.engine.profiles.apply(call.who, call.body);
      return json(call, created ? 201 : 200, profile);
    },
  ),
  defineRoute(
    {
      method: "put",
      path: "/v1/profiles/{name}/labels",
      operation: "labelProfile",
      tag: "Profiles",
      summary: "Say what an operator thinks of a profile",
      description:
        "Rules of the policy ask for it. `name` means every version that has no labels of its own; the list replaces the one before.",
      scope: "admin",
      body: LabelsRequest,
      exampleBody: { labels: ["reviewed"] },
      answers: { 200: profileAnswer("The profile with its labels.") },
      errors: ["profile_not_found", "storage_unavailable"],
    },
    async (call) => json(call, 200, await call.engine.profiles.label(call.who, profileName(call), call.body.labels)),
  ),
];

function profileName(call: Call): string {
  const name = call.params["name"] ?? "";
  if (/^[a-z0-9][a-z0-9-]{0,62}(@\d{1,9})?$/.test(name)) return name;
  const message = 'must be "name" or "name@version"';
  throw new SandboxerError("invalid_request", `the profile's name ${message}`, { issues: [{ path: "name", message }] });
}
