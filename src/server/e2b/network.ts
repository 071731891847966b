import { z } from "zod";
import type { Sandbox } from "../../contract/index.ts";
import { NO_CONTENT, type Answer, type ControlCall } from "./call.ts";
import { unsupported } from "./errors.ts";
import { asAllowRule, remainingRules } from "./outward.ts";
import { liveSandbox } from "./live.ts";
import { trafficIsPublic } from "./own-metadata.ts";

const egress = {
  allowOut: z.array(z.string()).nullish(),
  denyOut: z.array(z.string()).nullish(),
  rules: z.record(z.string(), z.unknown()).nullish(),
  egressProxy: z.record(z.string(), z.unknown()).nullish(),
};

/** `network` of a create. */
export const Network = z.strictObject({
  ...egress,
  allowPublicTraffic: z.boolean().nullish(),
  maskRequestHost: z.string().nullish(),
  httpsPorts: z.array(z.int()).nullish(),
});

const NetworkUpdate = z.strictObject({ ...egress, allow_internet_access: z.boolean().nullish() });

/** Refuses what no profile can give on this wire. What may be reached is {@link remainingRules}'s. */
export function checkNetwork(network: z.output<typeof Network>, prefix: string): void {
  if (Object.keys(network.rules ?? {}).length > 0)
    throw unsupported(
      `${prefix}rules`,
      "headers are put in by the secrets of a profile: bind one to the host, and use the profile as the template",
    );
  if (isSaid(network.egressProxy)) throw unsupported(`${prefix}egressProxy`, "is not in this version of sand-boxer");
  if (isSaid(network.maskRequestHost)) throw unsupported(`${prefix}maskRequestHost`, "is not in this version of sand-boxer");
  if ((network.httpsPorts ?? []).length > 0) throw unsupported(`${prefix}httpsPorts`, "is not in this version of sand-boxer");
}

/** `null` is how some clients write nothing. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Everything is more than any profile lists, so nobody gets it by asking. */
export const NOT_EVERYTHING =
  "a sandbox reaches what its profile's network.allow lists and nothing else; leave it out, and choose a template (profile) that lists what you need";

/** PUT /sandboxes/{id}/network: replaces the rules, within what the sandbox's profile allows. */
export async function updateNetwork(call: ControlCall): Promise<Answer> {
  const { id } = await liveSandbox(call);
  const { allow_internet_access: internet, ...network } = await call.body(NetworkUpdate);
  if (internet === true) throw unsupported("allow_internet_access", NOT_EVERYTHING);
  checkNetwork(network, "");
  const { ctx, who } = call;
  const { within, state } = await ctx.engine.network.get(who, id);
  const profile = within.map(asAllowRule);
  const allow = remainingRules(profile, { ...network, ...(isSaid(internet) ? { internet: false } : {}) }, "");
  if (state !== "none") await ctx.engine.network.update(who, id, { allow: allow ?? profile });
  return NO_CONTENT;
}

/** The rules of a sandbox as they are in force. */
export async function networkOf({ ctx, who }: ControlCall, { id, metadata }: Sandbox): Promise<Record<string, unknown>> {
  const { rules } = await ctx.engine.network.get(who, id);
  const allowOut = [...new Set(rules.map(({ host, cidr }) => host ?? cidr))];
  return { allowOut, denyOut: ["0.0.0.0/0", "::/0"], allowPublicTraffic: trafficIsPublic(metadata) };
}
