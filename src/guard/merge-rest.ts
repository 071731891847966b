import type { Sandbox } from "../contract/index.ts";

type What = Sandbox["lifetime"]["on_expire"];

/** What keeps less first: the end is the narrowest that a clock can do. */
const KEEPS: readonly What[] = ["terminate", "suspend", "checkpoint", "pause"];

/** What a clock does: the narrower of profile and request; what only one of them says, that. */
export function mergeRest<Kind extends What>(profile: Kind | undefined, request: Kind | undefined): Kind | undefined {
  if (profile === undefined || request === undefined) return request ?? profile;
  return KEEPS.indexOf(profile) <= KEEPS.indexOf(request) ? profile : request;
}

/** Whether use wakes it: `refuse` is the narrower. */
export function mergeUse(
  profile: Sandbox["lifetime"]["on_use"] | undefined,
  request: Sandbox["lifetime"]["on_use"] | undefined,
): Sandbox["lifetime"]["on_use"] | undefined {
  if (profile === undefined || request === undefined) return request ?? profile;
  return profile === "refuse" ? profile : request;
}
