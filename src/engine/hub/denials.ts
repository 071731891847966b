import type { Principal } from "../../contract/index.ts";
import { audit } from "../audit.ts";
import type { Context } from "../context.ts";
import type { Denial } from "../engine.ts";

const WINDOW_MS = 60_000;
/** Written in a window for one who asks, and for all who have no key together: refusals cost whoever sends them nothing, and the log never forgets. */
const PER_WINDOW = 30;
/** Askers that are counted one by one. */
const MAX_ASKERS = 1000;

interface Window {
  readonly since: number;
  written: number;
  untold: number;
}

/** Writes refusals into the audit log; those beyond the bound are counted, and the next one that is written says how many. */
export class Denials {
  readonly #ctx: Context;
  readonly #windows = new Map<string, Window>();

  constructor(ctx: Context) {
    this.#ctx = ctx;
  }

  /** Never throws: who is refused is told so whether it can be written down or not. */
  async write(who: Principal, { action, target, code }: Denial): Promise<void> {
    const at = this.#ctx.clock.now();
    const asker = this.#windowOf(who.key_id ?? "", at);
    if (asker.written >= PER_WINDOW) {
      asker.untold++;
      return;
    }
    asker.written++;
    const untold = asker.untold;
    asker.untold = 0;
    const detail = { code, ...(untold === 0 ? {} : { untold_before: untold }) };
    try {
      await this.#ctx.ledger.transaction((tx) => audit(tx, who, { action, at, target, result: "denied", detail }));
    } catch (thrown) {
      this.#ctx.log.error({ action, code, error: String(thrown) }, "a refusal could not be written into the audit log");
    }
  }

  #windowOf(key: string, at: number): Window {
    const known = this.#windows.get(key);
    if (known !== undefined && at >= known.since && at - known.since < WINDOW_MS) return known;
    if (this.#windows.size >= MAX_ASKERS) this.#windows.clear();
    const fresh = { since: at, written: 0, untold: known?.untold ?? 0 };
    this.#windows.set(key, fresh);
    return fresh;
  }
}
