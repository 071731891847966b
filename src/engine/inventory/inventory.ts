import { type BackendConfig, type Resources, SandboxerError } from "../../contract/index.ts";
import { type Db, type InventoryTable, type Ledger, listInventory } from "../../ledger/index.ts";
import type { Backend } from "../backends.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import type { Gates } from "../routing/gates.ts";
import { type Amounts, full, NOTHING, takePlace, usedAt } from "./room.ts";

export interface InventoryOptions {
  readonly ledger: Ledger;
  /** The engine's own list: hosts come to its end, and go from it. */
  readonly backends: Backend[];
  readonly gates: Gates;
  /** Makes a backend of a host, without opening it; undefined where this engine takes none. */
  readonly prepare: ((config: BackendConfig) => Promise<Backend>) | undefined;
  readonly log: { error(fields: object, message: string): void };
}

/** How long whoever first looks at a new host waits for it; it goes on opening after that. */
const OPENS_WITHIN_MS = 3000;

/**
 * Hosts of the ledger as backends of this engine. The ledger is what holds: every control plane over it looks there before it ranks
 * backends and at each sweep, so that a host that one of them was told of is everybody's a moment later.
 */
export class Inventory {
  readonly #options: InventoryOptions;
  readonly #turn = new OneAtATime();
  readonly #hosts = new Map<string, { readonly row: InventoryTable; readonly backend: Backend }>();
  #used: ReadonlyMap<string, Amounts> = new Map();

  constructor(options: InventoryOptions) {
    this.#options = options;
  }

  /** Takes over what the ledger says now: one or two short queries where nothing has changed; a new host is waited for a moment. */
  async look(): Promise<void> {
    if (this.#options.prepare === undefined) return;
    await this.#turn.run(() => this.#look());
  }

  async #look(): Promise<void> {
    const { ledger, prepare } = this.#options;
    if (prepare === undefined) return;
    const rows = await listInventory(ledger.db);
    for (const [name, { row }] of this.#hosts) if (!rows.some((now) => isSame(now, row))) this.#drop(name);
    await Promise.all(
      rows.map(async (row) => {
        const known = this.#hosts.get(row.name);
        if (known !== undefined) this.#hosts.set(row.name, { ...known, row });
        else await this.#add(row, prepare);
      }),
    );
    this.#used = await usedAt(ledger.db, [...this.#hosts.keys()]);
  }

  async #add(row: InventoryTable, prepare: NonNullable<InventoryOptions["prepare"]>): Promise<void> {
    const { backends, gates, log } = this.#options;
    if (backends.some(({ name }) => name === row.name))
      return log.error({ host: row.name }, "a host of the inventory has the name of a configured backend, which holds");
    let backend: Backend;
    try {
      backend = await prepare({ name: row.name, provider: row.provider, options: JSON.parse(row.options) as Record<string, unknown> });
    } catch (thrown) {
      return log.error({ host: row.name, error: String(thrown) }, "a host of the inventory cannot be made a backend here");
    }
    gates.add(backend);
    backends.push(backend);
    this.#hosts.set(row.name, { row, backend });
    const clock = AbortSignal.timeout(OPENS_WITHIN_MS);
    await Promise.race([backend.open(), new Promise((resolve) => clock.addEventListener("abort", resolve, { once: true }))]);
  }

  #drop(name: string): void {
    const { backends } = this.#options;
    const at = backends.findIndex((backend) => backend.name === name);
    const [gone] = at < 0 ? [] : backends.splice(at, 1);
    this.#hosts.delete(name);
    // One that is being opened is let go of when it is open.
    void gone?.settled().then(() => gone.provider?.dispose?.());
  }

  /** Waits for what is being opened, so that it can be let go of. */
  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map(({ backend }) => backend.settled()));
  }

  /** Throws `not_found`. */
  host(name: string): { readonly row: InventoryTable; readonly backend: Backend } {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new SandboxerError("not_found", `there is no host "${name}" in the inventory`);
    return host;
  }

  has(name: string): boolean {
    return this.#hosts.has(name);
  }

  /** Of which provider a host is; undefined for what is none. */
  providerOf(name: string): string | undefined {
    return this.#hosts.get(name)?.row.provider;
  }

  /** In the transaction that puts a sandbox there, before it stands there. Throws `backend_unavailable` for a host without room. */
  async takePlace(tx: Db, name: string, resources: Resources): Promise<void> {
    if (this.#hosts.has(name)) await takePlace(tx, name, resources);
  }

  all(): { readonly row: InventoryTable; readonly backend: Backend }[] {
    return [...this.#hosts.values()];
  }

  used(name: string): Amounts {
    return this.#used.get(name) ?? NOTHING;
  }

  /** Why one more has no place there, as of the last look; undefined where it has, and for a backend of the configuration. */
  full(name: string, resources: Resources): string | undefined {
    const host = this.#hosts.get(name);
    return host === undefined ? undefined : full(host.row, this.used(name), resources);
  }
}

/** The same host still: what is changed at it are its capacity and whether it is drained. */
function isSame(now: InventoryTable, before: InventoryTable): boolean {
  return now.name === before.name && now.added_at === before.added_at && now.options === before.options && now.provider === before.provider;
}
