import type { Sandbox } from "../../contract/index.ts";

/** What this door keeps in a sandbox's metadata begins so; E2B's own answers do not show it. */
export const RESERVED_PREFIX = "e2b/";
/** Who may reach the sandbox's ports by its host names: `public`, or who has its traffic token. */
export const TRAFFIC_KEY = "e2b/traffic";

/**
 * Whether anybody who knows a sandbox's host name may reach its ports. E2B's sandboxes are like that unless
 * `allowPublicTraffic` is false; one made elsewhere never said so, and needs the token.
 */
export function trafficIsPublic(metadata: Readonly<Record<string, string>>): boolean {
  return metadata[TRAFFIC_KEY] === "public";
}

/** The metadata its maker gave. */
export function visibleMetadata({ metadata }: Sandbox): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith(RESERVED_PREFIX)));
}
