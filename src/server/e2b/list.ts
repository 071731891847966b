import { isId, type Sandbox, type SandboxState } from "../../contract/index.ts";
import type { Answer, ControlCall } from "./call.ts";
import { listedSandbox } from "./describe.ts";
import { badParameter } from "./query.ts";
import { isOfTemplate } from "./template.ts";

const STATES = { running: ["ready"], paused: ["paused", "suspended"] } as const satisfies Record<string, readonly SandboxState[]>;
const STATE_NAMES = ["running", "paused"] as const;
const MAX_LIMIT = 100;
/** Of one look into the engine. */
const PAGE = 200;

/** GET /v2/sandboxes: a page with `x-next-token` where there is more. GET /sandboxes: all that run. */
export async function list(call: ControlCall): Promise<Answer> {
  const { query, generation } = call;
  const names = query.choices("state", STATE_NAMES) ?? (generation === 1 ? ["running"] : STATE_NAMES);
  const limit = query.integer("limit", { min: 1, max: MAX_LIMIT }) ?? (generation === 1 ? Infinity : MAX_LIMIT);
  const [order] = query.choices("order", ["asc", "desc"]) ?? ["desc"];
  const after = query.text("nextToken");
  if (after !== undefined && !isId("sandbox", after)) throw badParameter("nextToken", "is not one that this server gave");

  const states = [...new Set(names.flatMap((name): readonly SandboxState[] => STATES[name]))];
  const newestFirst = matching(call, states, order === "asc" ? undefined : after);
  const ordered = order === "asc" ? await oldestFirst(newestFirst, after) : newestFirst;
  const page: Sandbox[] = [];
  let more = false;
  for await (const sandbox of ordered) {
    if (page.length === limit) {
      more = true;
      break;
    }
    page.push(sandbox);
  }
  const last = page.at(-1);
  return { status: 200, body: page.map(listedSandbox), headers: more && last !== undefined ? { "x-next-token": last.id } : {} };
}

/** Those the query asks for, newest first, from behind `cursor`. */
async function* matching(
  { ctx, who, query }: ControlCall,
  states: SandboxState[],
  cursor: string | undefined,
): AsyncGenerator<Sandbox, void, void> {
  const metadata = query.pairs("metadata");
  const startedAfter = query.time("startedAfter");
  const template = query.text("template");
  for (let from = cursor; ;) {
    const page = await ctx.engine.list(who, {
      states,
      limit: PAGE,
      ...(metadata === undefined ? {} : { metadata }),
      ...(from === undefined ? {} : { cursor: from }),
    });
    for (const sandbox of page.data) {
      // Older ones only from here on.
      if (startedAfter !== undefined && Date.parse(sandbox.created_at) < startedAfter.getTime()) return;
      if (template === undefined || isOfTemplate(sandbox, template)) yield sandbox;
    }
    if (page.next_cursor === null) return;
    from = page.next_cursor;
  }
}

/** Turned round as a whole, since the engine pages the other way; ids sort by the time they were made. */
async function oldestFirst(newestFirst: AsyncIterable<Sandbox>, after: string | undefined): Promise<Sandbox[]> {
  const all: Sandbox[] = [];
  for await (const sandbox of newestFirst) all.push(sandbox);
  return all.toReversed().filter(({ id }) => after === undefined || id > after);
}
