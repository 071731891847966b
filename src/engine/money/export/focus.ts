import type { Price } from "../../../contract/index.ts";
import type { StayWithUsage } from "../../../ledger/index.ts";

type Cell = string | number | null;

const instant = (at: number): string => new Date(at).toISOString().replace(/\.\d{3}Z$/, "Z");
const usd = (microUsd: number): string => `${Math.floor(microUsd / 1_000_000)}.${String(microUsd % 1_000_000).padStart(6, "0")}`;

function month(at: number, plus: number): string {
  const date = new Date(at);
  return instant(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + plus, 1));
}

/** Whole billed seconds of a stay, as its charge period has them: at least one. */
function periodOf(stay: StayWithUsage): { start: number; end: number } {
  const start = Math.floor(stay.usage_opened_at / 1000) * 1000;
  const end = Math.ceil(Math.min(stay.closed_at ?? start, stay.max_life_at) / 1000) * 1000;
  return { start, end: Math.max(end, start + 1000) };
}

/**
 * The columns of FOCUS 1.3's cost and usage dataset that there is something to say in, and the mandatory ones. Unit prices and quantities
 * of a SKU are null: a stay is one charge over several meters. What FOCUS has no column for stands in columns that begin with `x_`.
 */
const COLUMNS: readonly (readonly [name: string, cell: (stay: StayWithUsage, cost: string) => Cell])[] = [
  ["BilledCost", (_stay, cost) => cost],
  ["BillingAccountId", ({ account }) => account],
  ["BillingAccountName", ({ account }) => account],
  ["BillingAccountType", () => "Account"],
  ["BillingCurrency", () => "USD"],
  ["BillingPeriodEnd", ({ settled_at }) => month(settled_at ?? 0, 1)],
  ["BillingPeriodStart", ({ settled_at }) => month(settled_at ?? 0, 0)],
  ["ChargeCategory", () => "Usage"],
  ["ChargeClass", () => null],
  ["ChargeDescription", ({ backend, profile }) => `Sandbox of profile ${profile} at ${backend}`],
  ["ChargeFrequency", () => "Usage-Based"],
  ["ChargePeriodEnd", (stay) => instant(periodOf(stay).end)],
  ["ChargePeriodStart", (stay) => instant(periodOf(stay).start)],
  ["ConsumedQuantity", () => null],
  ["ConsumedUnit", () => null],
  ["ContractedCost", (_stay, cost) => cost],
  ["ContractedUnitPrice", () => null],
  ["EffectiveCost", (_stay, cost) => cost],
  ["HostProviderName", ({ backend }) => backend],
  ["InvoiceId", () => null],
  ["InvoiceIssuerName", () => "sand-boxer"],
  ["ListCost", (_stay, cost) => cost],
  ["ListUnitPrice", () => null],
  ["PricingCategory", () => null],
  ["PricingCurrency", () => "USD"],
  ["PricingQuantity", () => null],
  ["PricingUnit", () => null],
  ["ProviderName", () => "sand-boxer"],
  ["PublisherName", () => "sand-boxer"],
  ["RegionId", () => null],
  ["RegionName", () => null],
  ["ResourceId", ({ sandbox_id }) => sandbox_id],
  ["ResourceName", ({ sandbox_id }) => sandbox_id],
  ["ResourceType", () => "Sandbox"],
  ["ServiceCategory", () => "Compute"],
  ["ServiceName", () => "Sandboxes"],
  ["ServiceProviderName", () => "sand-boxer"],
  ["ServiceSubcategory", () => "Containers"],
  ["SkuId", () => null],
  ["SkuMeter", () => null],
  ["SkuPriceDetails", () => null],
  ["SkuPriceId", () => null],
  ["SubAccountId", ({ tenant }) => tenant],
  ["SubAccountName", ({ tenant }) => tenant],
  ["SubAccountType", () => "Tenant"],
  [
    "Tags",
    ({ profile, agent, key_id }) =>
      JSON.stringify({ profile, ...(agent === null ? {} : { agent }), ...(key_id === "" ? {} : { key: key_id }) }),
  ],
  ["x_Confirmed", ({ confirmed }) => (confirmed === 1 ? "true" : "false")],
  ["x_DiskMibSeconds", ({ disk_mib_seconds }) => disk_mib_seconds],
  ["x_EgressBytes", ({ egress_bytes_up }) => egress_bytes_up],
  ["x_Generation", ({ generation }) => generation],
  ["x_MemMibSeconds", ({ mem_mib_seconds }) => mem_mib_seconds],
  ["x_Precision", ({ precision }) => precision],
  ["x_PriceSource", ({ price }) => (price === null ? null : (JSON.parse(price) as Price).source)],
  ["x_Priced", ({ cost }) => (cost === null ? "false" : "true")],
  ["x_Settlement", ({ seq }) => seq],
  ["x_VcpuSeconds", ({ vcpu_seconds }) => vcpu_seconds],
];

function quoted(cell: Cell): string {
  const text = cell === null ? "" : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const FOCUS_HEADER = COLUMNS.map(([name]) => name).join(",");

/** A settled stay as a line of FOCUS 1.3 CSV. FOCUS has no null costs: an unknown one is 0, and `x_Priced` is false. */
export function toFocus(stay: StayWithUsage): string {
  const cost = usd(stay.cost ?? 0);
  return COLUMNS.map(([, cell]) => quoted(cell(stay, cost))).join(",");
}
