import { parse, type PortVisibility, Profile, SandboxerError } from "../contract/index.ts";
import { findProfile, type SandboxRow } from "../ledger/index.ts";
import type { Context } from "./context.ts";

/** What profile and operator say of a sandbox's ports. */
export interface PortRules {
  /** Those that the profile lists. */
  readonly ports: readonly number[];
  /** How the profile publishes it; undefined where it does not. */
  listed(port: number): PortVisibility | undefined;
  /** The widest it may be published at; undefined: not at all. */
  widest(port: number): PortVisibility | undefined;
}

const ORDER = ["private", "token", "public"] as const;
type Network = NonNullable<Profile["network"]>;

/** By the profile that the sandbox was made from, told by its digest, and the configuration of this process. */
export async function portRules(ctx: Context, sandbox: SandboxRow): Promise<PortRules> {
  const { ports = [], publish = [] } = await networkOf(ctx, sandbox);
  const { enabled = true, widest: cap = "public", publish: operators = [] } = ctx.config.preview ?? {};
  const listed = new Map(ports.map(({ port, visibility = "private" }) => [port, visibility]));
  return {
    ports: [...listed.keys()],
    listed: (port) => listed.get(port),
    widest(port) {
      if (!enabled) return undefined;
      const ranges = [...publish, ...operators].filter(({ from, to }) => from <= port && port <= to);
      const allowed = [listed.get(port), ...ranges.map(({ visibility = "private" }) => visibility)];
      const index = Math.max(...allowed.map((one) => (one === undefined ? -1 : ORDER.indexOf(one))));
      return ORDER[Math.min(index, ORDER.indexOf(cap))];
    },
  };
}

/** Profiles never change, so each is read once; a process sees few of them. */
const REMEMBERED = 1000;
const remembered = new WeakMap<Context, Map<string, Network>>();

async function networkOf(ctx: Context, { tenant, profile_name, profile_version, profile_digest }: SandboxRow): Promise<Network> {
  const known = remembered.get(ctx) ?? new Map<string, Network>();
  remembered.set(ctx, known);
  const seen = known.get(profile_digest);
  if (seen !== undefined) return seen;
  const shipped = ctx.shipped.find(({ digest }) => digest === profile_digest);
  const own = shipped === undefined ? await findProfile(ctx.ledger.db, tenant, profile_name, profile_version) : undefined;
  if (shipped === undefined && own?.digest !== profile_digest)
    throw new SandboxerError("internal", `profile ${profile_name}@${profile_version} is not the one that the sandbox was made from`);
  const document: unknown = shipped?.document ?? JSON.parse(own?.document ?? "");
  const network = parse(Profile, document, { what: `profile ${profile_name}` }).network ?? {};
  if (known.size >= REMEMBERED) known.clear();
  known.set(profile_digest, network);
  return network;
}
