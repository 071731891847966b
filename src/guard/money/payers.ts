/** Where nobody has said who pays. */
export const DEFAULT_ACCOUNT = "default";

/** Which accounts pay for a tenant at a backend; `*` stands for every one. */
export interface PayingRoute {
  readonly tenant: string;
  readonly backend: string;
  readonly accounts: readonly string[];
}

/**
 * The accounts to ask, in order. The route that names the tenant comes before one that names only the backend, and that before one
 * for everything; without any the default account pays.
 */
export function payersFor(routes: readonly PayingRoute[], tenant: string, backend: string): readonly string[] {
  const closeness = (route: PayingRoute) => (route.tenant === "*" ? 0 : 2) + (route.backend === "*" ? 0 : 1);
  const [closest] = routes
    .filter((route) => ["*", tenant].includes(route.tenant) && ["*", backend].includes(route.backend))
    .toSorted((a, b) => closeness(b) - closeness(a));
  return closest?.accounts ?? [DEFAULT_ACCOUNT];
}

/** An account's terms, as far as they say whether it may pay. */
export interface Payer {
  readonly kind: "byok" | "credits" | "self_hosted";
  readonly tenant: string | null;
  readonly backends: readonly string[] | null;
  readonly limit: number | null;
}

/** Why an account may not pay, before its figures are looked at; undefined: it may. `largest` null: nobody can say what it would cost. */
export function mayNotPay(payer: Payer, tenant: string, backend: string, largest: number | null): string | undefined {
  if (payer.tenant !== null && payer.tenant !== tenant) return `pays for tenant ${payer.tenant} only`;
  if (payer.backends !== null && !payer.backends.includes(backend)) return `pays for ${payer.backends.join(", ")} only`;
  const bounded = payer.kind === "credits" || payer.limit !== null;
  return bounded && largest === null ? "has a bound, and the most that this can cost is not known" : undefined;
}
