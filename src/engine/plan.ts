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
  SandboxerError,
  type SandboxWorkspace,
} from "../contract/index.ts";
import { admitWorkspace, checkSecretBindings, mergeSettings, type Request, type Settings } from "../guard/index.ts";
import type { SnapshotRow } from "../ledger/index.ts";
import type { Context } from "./context.ts";
import { DEFAULT_PROFILE, resolveProfile } from "./profiles.ts";
import { notYet, requirements } from "./requirements.ts";
import { type Ranking, route } from "./route.ts";
import type { Refusal } from "./routing/refuse.ts";
import { snapshot } from "./routing/snapshot.ts";
import { usableSnapshot } from "./snapshots/rows.ts";

/** Everything decided about a create before anything is done. */
export interface Plan {
  readonly request: Request;
  readonly profile: ProfileRecord;
  readonly settings: Settings;
  readonly document: Profile;
  /** The profile's, unresolved. */
  readonly secrets: readonly ProfileSecret[];
  /** Ports that the profile publishes. */
  readonly ports: readonly PublishedPort[];
  readonly ranking: Ranking;
  /** Where what is at its workspace comes from; null: it begins empty. */
  readonly workspace: SandboxWorkspace | null;
  /** What it goes on from. */
  readonly snapshot?: SnapshotRow;
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

/** A request read and merged with its profile: what is wanted, before it is asked who can give it. */
export interface Draft {
  readonly request: Request;
  readonly profile: ProfileRecord;
  readonly document: Profile;
  readonly settings: Settings;
  /** What it goes on from. */
  readonly snapshot?: SnapshotRow;
}

const SHORTHANDS = { warm: "cold_start", floor: "price" } as const;

/** `python:warm` asks for `routing.sort`. */
function withShorthand(request: Request): Request {
  const word = /:(warm|floor)$/.exec(request.profile ?? "")?.[1] as keyof typeof SHORTHANDS | undefined;
  if (word === undefined) return request;
  const sort = SHORTHANDS[word];
  const asked = request.routing?.sort;
  if (asked !== undefined && asked !== sort) {
    const message = `":${word}" stands for sort ${sort}, and routing.sort asks for ${asked}`;
    throw new SandboxerError("invalid_request", `profile: ${message}`, { issues: [{ path: "routing.sort", message }] });
  }
  return { ...request, routing: { ...request.routing, sort } };
}

/** Reads a request, resolves its profile and merges. Does nothing to anything. */
export async function draft(ctx: Context, who: Principal, input: CreateRequest): Promise<Draft> {
  const request = withShorthand(parse(CreateRequest, input, { what: "request" }));
  checkBackendNames(ctx, request);
  const asked = request.snapshot === undefined ? undefined : await usableSnapshot(ctx, who, request.snapshot, "snapshot");
  const profile = await resolveProfile(ctx, who.tenant, request.profile ?? asked?.profile ?? DEFAULT_PROFILE);
  const written = parse(Profile, profile.document, { what: `profile ${profile.name}@${profile.version}` });
  const named = asked === undefined ? /^snapshot:(\S+)$/.exec(written.image ?? "")?.[1] : undefined;
  const from = named === undefined ? asked : await usableSnapshot(ctx, who, named, "image");
  // What is asked for by its snapshot is a new one, whoever had a key before, and has its setup behind it.
  const { scope: _scope, setup: _setup, ...rest } = written;
  const document: Profile = asked === undefined ? written : { ...rest, image: `snapshot:${asked.id}` };
  const settings = mergeSettings(ctx.config.floor ?? {}, document, request);
  if (from === undefined) return { request, profile, document, settings };
  const { routing } = settings;
  const only = (routing.only ?? [from.backend]).filter((name) => name === from.backend);
  const where = { image: `snapshot:${from.id}@${from.digest}`, routing: { ...routing, only } };
  return { request, profile, document, settings: { ...settings, ...where }, snapshot: from };
}

/** Ranks the backends for it as they stand now. Asks none of them. */
export function planOf(ctx: Context, tenant: string, { request, profile, document, settings, snapshot: from }: Draft): Plan {
  const needs = requirements(document, request, settings.routing.requireCapabilities);
  const missing = needs.flatMap((one): Issue[] => {
    const message = notYet(one);
    return message === undefined ? [] : [{ path: one.field, message }];
  });
  if (missing.length > 0) throw unsupported(missing);
  const { network } = settings;
  const asked = {
    routing: settings.routing,
    requirements: needs,
    isolationMin: settings.isolationMin,
    resources: settings.resources,
    maxLife: settings.maxLife,
    ttl: settings.ttl,
    egressBytes: network === null ? 0 : (network.ceiling.limits.bytes ?? null),
  };
  const ranking = route(asked, snapshot(ctx, settings.resources), ctx.gates.maxWaitMs);
  // Where no backend can have secrets, or mount anything, at all, that is what is told.
  const possible = ranking.ranked.length > 0;
  if (possible) checkSecretBindings(document);
  return {
    workspace: possible ? admitWorkspace(settings.workspace, ctx.config.workspaces?.roots ?? [], tenant) : null,
    ...(from === undefined ? {} : { snapshot: from }), request, profile, document, settings, secrets: document.secrets ?? [], ports: document.network?.ports ?? [],
    ranking: { ...ranking, route: { ...ranking.route, profile: `${profile.name}@${profile.version}` } },
  }; // prettier-ignore
}

/** The error of a plan that no backend can take: by what stood in the way at those that were not excluded by choice. */
export function refusal({ ranking }: Plan): SandboxerError {
  const { refused, route: decision } = ranking;
  const open = refused.filter(({ refusals }) => refusals.every(({ kind }) => kind !== "choice"));
  const all = open.flatMap(({ backend, refusals }) => refusals.map((one) => ({ ...one, backend })));
  // Where one is only left alone for a while, the same request succeeds later.
  const waiting = open.flatMap(({ refusals }) =>
    refusals.length === 1 && refusals[0]?.kind === "breaker" ? [refusals[0].retryAfterMs] : [],
  );
  if (waiting.length > 0)
    return new SandboxerError("backend_unavailable", decision.reason, {
      phase: "route",
      retry_after: Math.max(1, Math.ceil(Math.min(...waiting) / 1000)),
    });
  if (all.some(({ kind }) => kind === "unavailable") || all.length === 0)
    return new SandboxerError("no_backend", decision.reason, { phase: "route" });
  // What stands in the way at those that nearly could says what to change.
  const fewest = Math.min(...open.map(({ refusals }) => refusals.length));
  const nearly = open.filter(({ refusals }) => refusals.length === fewest);
  const issues = nearly.flatMap(({ backend, refusals }) => refusals.flatMap((one) => issuesOf(backend, one)));
  if (issues.length > 0 && issues.every(({ path }) => path === "isolation_level.min"))
    return new SandboxerError("isolation_unavailable", decision.reason, { phase: "route", issues });
  if (issues.length === 0) return new SandboxerError("capability_unsupported", decision.reason, { phase: "route" });
  if (nearly.some(({ refusals }) => refusals.some(({ kind }) => kind === "capability"))) return unsupported(issues);
  const hint = "Widen the named bound, or configure a backend that is within it: 'sand-boxer route explain' shows each.";
  return new SandboxerError("capability_unsupported", decision.reason, { phase: "route", issues, hint });
}

function issuesOf(backend: string, refusal: Refusal): Issue[] {
  if (refusal.kind === "capability")
    return refusal.missing.map(({ capability, field }) => ({
      path: field,
      message: `needs ${capability}, which backend ${backend} does not have`,
    }));
  if (refusal.kind === "bound") return [{ path: refusal.field, message: `${backend}: ${refusal.reason}` }];
  return refusal.kind === "isolation" ? [{ path: "isolation_level.min", message: `${backend}: ${refusal.reason}` }] : [];
}
