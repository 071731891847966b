import type Stripe from "stripe";
import { SandboxerError, type StripeReport } from "../../../contract/index.ts";
import { readMeta, settledStays, writeMeta } from "../../../ledger/index.ts";
import type { Context } from "../../context.ts";

const CURSOR = "export.stripe";
const PAGE = 200;

/** `stripe` is there only where its user installed it. */
async function loadStripe(): Promise<typeof Stripe> {
  try {
    return (await import("stripe")).default;
  } catch (cause) {
    throw new SandboxerError("provider_missing_dependency", 'the export to Stripe needs the package "stripe"', {
      phase: "export",
      hint: "Run: npm install stripe",
      cause,
    });
  }
}

/**
 * Gives Stripe a meter event for every settled stay since the last one that it took: its cost in micro-dollars, for the customer of its
 * tenant. The cursor moves after Stripe's answer, so that a crash sends some again; Stripe drops identifiers it has seen in 24 hours.
 *
 * @throws SandboxerError `invalid_request` where it is not configured, `provider_missing_dependency` without the SDK, `backend_auth`,
 * `backend_rejected`, `backend_unavailable` for what Stripe answers: what was sent before stays sent.
 */
export async function sendToStripe(ctx: Context): Promise<StripeReport> {
  const { stripe: config } = ctx.config.money ?? {};
  const key = config === undefined ? undefined : process.env[config.key_env];
  if (config === undefined) throw new SandboxerError("invalid_request", "money.stripe is not configured", { phase: "export" });
  if (key === undefined || key === "")
    throw new SandboxerError("invalid_request", `money.stripe.key_env: the server has no variable ${config.key_env}`, { phase: "export" });
  const Sdk = await loadStripe();
  const stripe = new Sdk(key, { maxNetworkRetries: 2, timeout: 20_000, telemetry: false, ...address(config.url) });
  let cursor = Number((await readMeta(ctx.ledger.db, CURSOR)) ?? 0);
  let [sent, skipped] = [0, 0];
  for (;;) {
    const page = await settledStays(ctx.ledger.db, { after: cursor, limit: PAGE });
    if (page.length === 0) return { sent, skipped, cursor };
    for (const stay of page) {
      const customer = config.customers[stay.tenant];
      if (customer === undefined || stay.cost === null || stay.cost === 0) skipped++;
      else {
        const event = {
          event_name: config.event_name,
          identifier: `${stay.sandbox_id}-${stay.generation}`,
          timestamp: Math.floor((stay.settled_at ?? 0) / 1000),
          payload: { stripe_customer_id: customer, value: String(stay.cost) },
        };
        await stripe.billing.meterEvents.create(event).catch((thrown: unknown) => {
          throw failure(thrown, Sdk);
        });
        sent++;
      }
      cursor = stay.seq ?? cursor;
      await writeMeta(ctx.ledger.db, CURSOR, String(cursor));
    }
  }
}

function address(url: string | undefined): { host?: string; port?: number; protocol?: "http" | "https" } {
  if (url === undefined) return {};
  const { hostname, port, protocol } = new URL(url);
  const http = protocol === "http:";
  return { host: hostname, port: port === "" ? (http ? 80 : 443) : Number(port), protocol: http ? "http" : "https" };
}

function failure(thrown: unknown, { errors }: typeof Stripe): SandboxerError {
  const code =
    thrown instanceof errors.StripeAuthenticationError || thrown instanceof errors.StripePermissionError
      ? "backend_auth"
      : thrown instanceof errors.StripeInvalidRequestError
        ? "backend_rejected"
        : "backend_unavailable";
  return new SandboxerError(code, `Stripe: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
    phase: "export",
    cause: thrown,
  });
}
