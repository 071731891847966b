import type { Principal } from "../../../contract/index.ts";
import { settledStays } from "../../../ledger/index.ts";
import type { Context } from "../../context.ts";
import { tenantMeant } from "../tenant-meant.ts";
import { toCloudEvents } from "./cloudevents.ts";
import { FOCUS_HEADER, toFocus } from "./focus.ts";

export const EXPORT_FORMATS = ["cloudevents", "focus"] as const;

export interface ExportQuery {
  readonly format: (typeof EXPORT_FORMATS)[number];
  /** The number of the last settlement that the caller has; 0: from the beginning. */
  readonly after: number;
  readonly limit: number;
  readonly tenant?: string;
  readonly allTenants?: boolean;
}

export interface ExportPage {
  readonly type: string;
  readonly text: string;
  /** Where to go on: the same as before where nothing was left. Settlements are numbered as they commit, so none is passed over. */
  readonly cursor: number;
  readonly count: number;
}

/** Settled usage from a cursor on, as text in that format. The same stay has the same identifiers each time. */
export async function exportUsage(ctx: Context, who: Principal, query: ExportQuery): Promise<ExportPage> {
  const tenant = tenantMeant(who, query);
  const stays = await settledStays(ctx.ledger.db, { after: query.after, limit: query.limit, ...(tenant === undefined ? {} : { tenant }) });
  const cursor = stays.at(-1)?.seq ?? query.after;
  const page = { cursor, count: stays.length };
  if (query.format === "focus")
    return { ...page, type: "text/csv; charset=utf-8", text: `${FOCUS_HEADER}\r\n${stays.map((stay) => `${toFocus(stay)}\r\n`).join("")}` };
  return { ...page, type: "application/cloudevents-batch+json", text: JSON.stringify(stays.flatMap(toCloudEvents)) };
}
