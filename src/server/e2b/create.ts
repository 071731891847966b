import { z } from "zod";
import { Env, Metadata, parse, Profile, SandboxerError, type CreateRequest, type Sandbox } from "../../contract/index.ts";
import type { Answer, ControlCall } from "./call.ts";
import { sandboxAnswer } from "./describe.ts";
import { unsupported } from "./errors.ts";
import { checkNetwork, Network, NOT_EVERYTHING } from "./network.ts";
import { remainingRules } from "./outward.ts";
import { RESERVED_PREFIX, TRAFFIC_KEY } from "./own-metadata.ts";
import { templateProfile } from "./template.ts";

/** What the SDK itself says where its user says nothing, in seconds. */
export const DEFAULT_TIMEOUT = 300;
/** A year, so that arithmetic on times stays sound; profiles set narrower bounds. */
const MAX_TIMEOUT = 366 * 86_400;

export const Timeout = z.int("must be a whole number of seconds").min(0).max(MAX_TIMEOUT);

/** Of both generations. Strict: what this door does not know, it cannot promise. */
const CreateBody = z.strictObject({
  templateID: z.string().min(1).max(256).default("base"),
  timeout: Timeout.optional(),
  metadata: Metadata.optional(),
  envVars: Env.optional(),
  secure: z.boolean().optional(),
  allow_internet_access: z.boolean().optional(),
  network: Network.optional(),
  autoPause: z.boolean().optional(),
  autoPauseMemory: z.boolean().optional(),
  autoResume: z.object({ enabled: z.boolean().optional() }).optional(),
  iam: z.record(z.string(), z.unknown()).optional(),
  mcp: z.record(z.string(), z.unknown()).optional(),
  volumeMounts: z.array(z.unknown()).optional(),
});
type CreateBody = z.output<typeof CreateBody>;

/** POST /sandboxes and /v2/sandboxes. */
export async function create(call: ControlCall): Promise<Answer> {
  const body = await call.body(CreateBody);
  refuseWhatIsMissing(body, call.generation);
  const { ctx, who } = call;
  const profile = await templateProfile(ctx, who, body.templateID);
  const timeout = body.timeout ?? DEFAULT_TIMEOUT;
  if (timeout === 0) throw new SandboxerError("invalid_request", "timeout: must be at least 1 second");
  const document = parse(Profile, profile.document, { what: `profile ${profile.name}` });
  checkTimeout(timeout, document, profile.version);
  const allow = remainingRules(
    document.network?.allow ?? [],
    { ...body.network, ...(body.allow_internet_access === false ? { internet: false } : {}) },
    "network.",
  );
  const request: CreateRequest = {
    profile: `${profile.name}@${profile.version}`,
    ttl: timeout,
    metadata: { ...body.metadata, [TRAFFIC_KEY]: body.network?.allowPublicTraffic === false ? "token" : "public" },
    ...(body.autoPause === true ? { on_expire: body.autoPauseMemory === false ? "suspend" : "pause" } : {}),
    ...(body.autoResume?.enabled === true ? { on_use: "resume" } : {}),
    ...(body.envVars === undefined ? {} : { env: body.envVars }),
    ...(allow === undefined ? {} : { network: { allow } }),
  };
  const { sandbox } = await ctx.engine.create(who, request, { signal: call.call.signal }).catch(inTheirWords);
  await refuseShortened(call, sandbox, timeout);
  await refuseUnpaused(call, sandbox);
  return { status: 201, body: sandboxAnswer(ctx, sandbox) };
}

/** An operator's floor shows only in what was made: a sandbox that ends earlier than was asked for is not handed out as if it did not. */
async function refuseShortened({ ctx, who }: ControlCall, sandbox: Sandbox, timeout: number): Promise<void> {
  if (!sandbox.narrowed.includes("ttl")) return;
  await ctx.engine.destroy(who, sandbox.id, "policy");
  const given = Math.round((Date.parse(sandbox.expires_at) - Date.parse(sandbox.created_at)) / 1000);
  throw tooLong(timeout, given, "the operator's floor");
}

/** The same for a profile that says itself what its clock does. */
async function refuseUnpaused({ ctx, who }: ControlCall, { id, narrowed, profile }: Sandbox): Promise<void> {
  const field = ([["on_expire", "autoPause"], ["on_use", "autoResume"]] as const).find(([ours]) => narrowed.includes(ours))?.[1]; // prettier-ignore
  if (field === undefined) return;
  await ctx.engine.destroy(who, id, "policy");
  throw unsupported(field, `profile ${profile.name}@${profile.version} says otherwise`);
}

/** What no backend can do is told by the name that the SDK's users know. */
function inTheirWords(thrown: unknown): never {
  const path = thrown instanceof SandboxerError && thrown.code === "capability_unsupported" ? thrown.details.issues?.[0]?.path : undefined;
  if (path === "on_expire" && thrown instanceof SandboxerError) throw unsupported("autoPause", thrown.message);
  if (path === "on_use" && thrown instanceof SandboxerError) throw unsupported("autoResume", thrown.message);
  throw thrown;
}

function checkTimeout(timeout: number, { name, lifetime }: Profile, version: number): void {
  const bound = Math.min(lifetime?.ttl ?? Infinity, lifetime?.max_life ?? Infinity);
  if (timeout > bound) throw tooLong(timeout, bound, `profile ${name}@${version}`);
}

function tooLong(timeout: number, bound: number, by: string): SandboxerError {
  const message = `timeout cannot be greater than ${bound} seconds: ${by} says so`;
  return new SandboxerError("invalid_request", `${message}; got ${timeout}`, {
    issues: [{ path: "timeout", message, nearest: String(bound) }],
  });
}

/** Everything the request asks for that no sandbox here would have. Defaults that an SDK sends unasked are no wish. */
function refuseWhatIsMissing(body: CreateBody, generation: 1 | 2): void {
  const version = "this version of sand-boxer does not have it";
  if (body.secure === false) throw unsupported("secure", "every sandbox here needs its access token; leave it out or send true");
  // The first generation of SDKs sends true whenever its user says nothing.
  if (body.allow_internet_access === true && generation === 2) throw unsupported("allow_internet_access", NOT_EVERYTHING);
  if (body.network !== undefined) checkNetwork(body.network, "network.");
  if (body.autoResume?.enabled === true && body.autoPause !== true) throw unsupported("autoResume", "goes with autoPause alone");
  for (const field of ["iam", "mcp"] as const) if (Object.keys(body[field] ?? {}).length > 0) throw unsupported(field, version);
  if ((body.volumeMounts ?? []).length > 0) throw unsupported("volumeMounts", `needs volumes, and ${version}`);
  const reserved = Object.keys(body.metadata ?? {}).find((key) => key.startsWith(RESERVED_PREFIX));
  if (reserved !== undefined)
    throw new SandboxerError(
      "invalid_request",
      `metadata: keys that begin with "${RESERVED_PREFIX}" are this server's own; got "${reserved}"`,
    );
}
