import { BlockList, isIPv4 } from "node:net";
import type { AllowRule, EffectiveRule } from "../../contract/index.ts";
import { unsupported } from "./errors.ts";

/** What E2B's SDK calls ALL_TRAFFIC. */
const EVERYTHING = "0.0.0.0/0";
const EVERYTHING_IPV6 = "::/0";

/** A request's wishes for connections outwards, as E2B's wire has them. */
export interface Outward {
  readonly allowOut?: readonly string[] | null | undefined;
  readonly denyOut?: readonly string[] | null | undefined;
  readonly internet?: boolean | undefined;
}

/**
 * The rules that remain of a profile's: E2B denies nothing but what is listed, sand-boxer everything but what the profile lists, so a request only
 * narrows. `denyOut` of everything leaves what `allowOut` names; without it the profile's rules stay. undefined: as the profile has them.
 *
 * @throws SandboxerError `capability_unsupported` naming what the profile does not allow, or cannot be said with its rules.
 */
export function remainingRules(
  given: readonly AllowRule[],
  { allowOut, denyOut, internet }: Outward,
  prefix: string,
): AllowRule[] | undefined {
  const denied = denyOut ?? [];
  const wanted = (allowOut ?? []).flatMap((entry, index) => covered(given, entry, `${prefix}allowOut[${index}]`));
  if (internet === false) return [];
  if (denied.includes(EVERYTHING)) return wanted;
  const some = denied.find((entry) => entry !== EVERYTHING_IPV6);
  if (some !== undefined && given.length > 0) {
    throw unsupported(
      `${prefix}denyOut`,
      `${some} cannot be taken out of what the profile allows; deny ${EVERYTHING} and list in allowOut what remains`,
    );
  }
  return undefined;
}

function covered(given: readonly AllowRule[], entry: string, field: string): AllowRule[] {
  const rules = given.flatMap((rule) => narrowed(rule, entry.toLowerCase()) ?? []);
  if (rules.length > 0) return rules;
  throw unsupported(field, `the profile's network.allow does not cover ${JSON.stringify(entry)}; choose a template (profile) whose does`);
}

/** The rule for the entry alone; undefined where it does not cover it. */
function narrowed(rule: AllowRule, entry: string): AllowRule | undefined {
  if (rule.host !== undefined) {
    const fits =
      rule.host === entry || (rule.host.startsWith("*.") && entry.endsWith(rule.host.slice(1)) && entry.length >= rule.host.length);
    return fits ? { ...rule, host: entry } : undefined;
  }
  const range = cidrOf(entry);
  const outer = cidrOf(rule.cidr ?? "");
  if (range === undefined || outer === undefined || outer.bits > range.bits) return undefined;
  const list = new BlockList();
  list.addSubnet(outer.address, outer.bits, "ipv4");
  return list.check(range.address, "ipv4") ? { ...rule, cidr: `${range.address}/${range.bits}` } : undefined;
}

function cidrOf(text: string): { address: string; bits: number } | undefined {
  const [address = "", bits = "32"] = text.split("/");
  return isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) <= 32 ? { address, bits: Number(bits) } : undefined;
}

/** A rule in force, in the form in which it is asked for. */
export function asAllowRule({ host, cidr, ports, methods, paths, tls, websocket }: EffectiveRule): AllowRule {
  return {
    ...(host === null ? {} : { host }), ...(cidr === null ? {} : { cidr }), ports, tls, websocket,
    ...(methods === null ? {} : { methods }), ...(paths === null ? {} : { paths }),
  }; // prettier-ignore
}
