import {
  CreateRequest,
  type Issue,
  nearest,
  parse,
  type Principal,
  Profile,
  type ProfileRecord,
  type ProfileSecret,
  type PublishedPort,
  type Route,
  SandboxerError,
} from "../contract/index.ts";
import { checkSecretBindings, mergeSettings, type Request, type Settings } from "../guard/index.ts";
import { traitsOf } from "./backends.ts";
import type { Context } from "./context.ts";
import { DEFAULT_PROFILE, resolveProfile } from "./profiles.ts";
import { NOT_IN_THIS_VERSION, requirements, unsupportedRouting } from "./requirements.ts";
import { type Ranking, route } from "./route.ts";

/** Everything decided about a create before anything is done. */
export interface Plan {
  readonly request: Request;
  readonly profile: ProfileRecord;
  readonly settings: Settings;
  /** The profile's, unresolved. */
  readonly secrets: readonly ProfileSecret[];
  /** Ports that the profile publishes. */
  readonly ports: readonly PublishedPort[];
  readonly ranking: Ranking;
}

function unsupported(issues: Issue[]): SandboxerError {
  const list = issues.map(({ path, message }) => `${path}: ${message}`).join("; ");
  return new SandboxerError("capability_unsupported", list, { phase: "route", issues });
}

function checkBackendNames(ctx: Context, request: Request): void {
  const names = ctx.backends.map(({ name }) => name);
  const issues = (["order", "only", "ignore"] as const).flatMap((field) =>
    (request.routing?.[field] ?? []).flatMap((name, index): Issue[] => {
      if (names.includes(name)) return [];
      const near = nearest(name, names) ?? names[0];
      return [
        { path: `routing.${field}[${index}]`, message: `unknown backend "${name}"`, ...(near === undefined ? {} : { nearest: near }) },
      ];
    }),
  );
  const [first] = issues;
  if (first !== undefined)
    throw new SandboxerError(
      "invalid_request",
      `${first.path}: ${first.message}${first.nearest === undefined ? "" : `; nearest: "${first.nearest}"`}`,
      { issues },
    );
}

/** Reads a request, resolves its profile, merges and ranks. Does nothing to anything. */
export async function plan(ctx: Context, who: Principal, input: CreateRequest): Promise<Plan> {
  const request: Request = parse(CreateRequest, input, { what: "request" });
  checkBackendNames(ctx, request);
  const profile = await resolveProfile(ctx, who.tenant, request.profile ?? DEFAULT_PROFILE);
  const document = parse(Profile, profile.document, { what: `profile ${profile.name}@${profile.version}` });
  const fields = unsupportedRouting(document, request);
  if (fields.length > 0) throw unsupported(fields.map((path) => ({ path, message: "is not supported by this version of sand-boxer" })));
  const settings = mergeSettings(ctx.config.floor ?? {}, document, request);
  const needs = requirements(document, request, settings.routing.requireCapabilities);
  const missing = needs.filter(({ capability }) => NOT_IN_THIS_VERSION.has(capability));
  if (missing.length > 0)
    throw unsupported(
      missing.map(({ capability, field }) => ({
        path: field,
        message: `needs ${capability}, which this version of sand-boxer does not have`,
      })),
    );
  const ranking = route(
    {
      routing: settings.routing,
      requirements: needs,
      isolationMin: settings.isolationMin,
      resources: settings.resources,
      maxLife: settings.maxLife,
    },
    ctx.backends.map((backend) => ({ name: backend.name, traits: traitsOf(backend) })),
  );
  // Where no backend can have secrets at all, that is what is told.
  if (ranking.ranked.length > 0) checkSecretBindings(document);
  return { request, profile, settings, secrets: document.secrets ?? [], ports: document.network?.ports ?? [], ranking };
}

/** The error of a plan that no backend can take: by what stood in the way at those that were not excluded by choice. */
export function refusal({ ranking, settings }: Plan): SandboxerError {
  const { refusals, route: decision } = ranking;
  const open = refusals.filter(({ kind }) => kind !== "choice");
  const missing = open.flatMap((one) => (one.kind === "capability" ? one.missing.map((need) => ({ ...need, backend: one.backend })) : []));
  if (open.some(({ kind }) => kind === "unavailable") || open.length === 0)
    return new SandboxerError("no_backend", decision.reason, { phase: "route" });
  if (missing.length > 0)
    return unsupported(
      missing.map(({ backend, capability, field }) => ({
        path: field,
        message: `needs ${capability}, which backend ${backend} does not have`,
      })),
    );
  if (open.some(({ kind }) => kind === "isolation")) {
    return new SandboxerError("isolation_unavailable", decision.reason, {
      phase: "route",
      issues: [{ path: "isolation_level.min", message: `no backend offers ${settings.isolationMin}` }],
    });
  }
  return new SandboxerError("capability_unsupported", decision.reason, { phase: "route" });
}

/** Ranks backends for a request without creating. */
export async function explainRoute(ctx: Context, who: Principal, input: CreateRequest): Promise<Route> {
  return (await plan(ctx, who, input)).ranking.route;
}
