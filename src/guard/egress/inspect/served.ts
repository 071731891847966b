import { exposure, type Exposure } from "./scrub.ts";
import type { LiveSession, Target } from "./types.ts";
import type { Upstream } from "./upstream.ts";

/** Hosts whose answers are looked through; the one that was asked longest ago is forgotten. */
const KEPT = 256;

/** What all requests of one sandbox share. */
export interface Served {
  readonly session: LiveSession;
  readonly upstream: Upstream;
  /** What a host has been sent of secrets. */
  exposure(target: Target): Exposure;
}

export function served(session: LiveSession, upstream: Upstream): Served {
  const exposures = new Map<string, Exposure>();
  return {
    session,
    upstream,
    exposure({ host, port }) {
      const key = `${host}:${port}`;
      const found = exposures.get(key) ?? exposure();
      exposures.delete(key);
      exposures.set(key, found);
      for (const [oldest, one] of exposures) {
        if (exposures.size <= KEPT) break;
        if (one.empty || oldest !== key) exposures.delete(oldest);
      }
      return found;
    },
  };
}
