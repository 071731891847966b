import { type NetworkCheck, NetworkCheckRequest, parse, type Principal, Profile } from "../../contract/index.ts";
import { askPolicy, compilePolicy, mergeNetwork, readTarget } from "../../guard/index.ts";
import type { Context } from "../context.ts";
import { resolveProfile } from "../profiles.ts";

/**
 * What a sandbox of a profile would be told when it asks for an address. Pure matching: nothing is made, resolved or dialled.
 *
 * @throws SandboxerError `profile_not_found`, `invalid_request` for an address that nothing could dial.
 */
export async function checkNetwork(ctx: Context, who: Principal, input: NetworkCheckRequest): Promise<NetworkCheck> {
  const { profile: reference, url, method = "GET", network: request } = parse(NetworkCheckRequest, input, { what: "network check" });
  const target = readTarget(url, method);
  const profile = await resolveProfile(ctx, who.tenant, reference);
  const document = parse(Profile, profile.document, { what: `profile ${profile.name}@${profile.version}` });
  const merged = mergeNetwork(ctx.config.floor?.network ?? {}, document.network ?? {}, request, () => {});
  const policy = merged?.policy ?? compilePolicy({});
  return { object: "network_check", profile: `${profile.name}@${profile.version}`, url, method, ...askPolicy(policy, target) };
}
