import { createSecureContext, type SecureContext } from "node:tls";
import { LEAF_DAYS, leafIssuer } from "./authority.ts";
import type { Authority } from "./types.ts";

/** Contexts kept for one sandbox; some 30 kB each. */
const KEPT = 128;
/** Made anew when half of its time is over, so that a long-lived boundary never shows an expired one. */
const RENEW_MS = (LEAF_DAYS / 2) * 86_400_000;

/** The server's side of TLS for any host, under one sandbox's CA; the least recently used are forgotten. */
export function leafContexts(authority: Authority): (host: string) => SecureContext {
  const issuer = leafIssuer(authority);
  const kept = new Map<string, { readonly context: SecureContext; readonly at: number }>();
  return (host) => {
    const found = kept.get(host);
    kept.delete(host);
    if (found !== undefined && Date.now() - found.at < RENEW_MS) {
      kept.set(host, found);
      return found.context;
    }
    const context = createSecureContext({ key: issuer.keyPem, cert: issuer.issue(host), minVersion: "TLSv1.2" });
    kept.set(host, { context, at: Date.now() });
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
    }
    return context;
  };
}
