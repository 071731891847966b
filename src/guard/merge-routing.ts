import type { Capability, Routing } from "../contract/index.ts";

/** Where a sandbox may go, from profile and request together. */
export interface MergedRouting {
  readonly order: readonly string[];
  /** undefined: any. */
  readonly only: readonly string[] | undefined;
  readonly ignore: readonly string[];
  readonly allowFallbacks: boolean;
  readonly requireCapabilities: readonly Capability[];
}

/** The request may choose an order of its own; every bound of both holds. `only: []` means none. */
export function mergeRouting(profile: Routing, request: Routing): MergedRouting {
  const both = <T>(a: readonly T[] | undefined, b: readonly T[] | undefined): T[] => [...new Set([...(a ?? []), ...(b ?? [])])];
  const only =
    profile.only !== undefined && request.only !== undefined
      ? profile.only.filter((name) => request.only?.includes(name))
      : (request.only ?? profile.only);
  return {
    order: request.order ?? profile.order ?? [],
    only,
    ignore: both(profile.ignore, request.ignore),
    allowFallbacks: (profile.allow_fallbacks ?? true) && (request.allow_fallbacks ?? true),
    requireCapabilities: both(profile.require_capabilities, request.require_capabilities),
  };
}
