import { HostChange, type HostChanged, type HostCheck, type HostInfo, HostRequest, parse, SandboxerError } from "../../contract/index.ts";
import {
  appendEvent,
  deleteInventory,
  findInventory,
  insertInventory,
  type InventoryTable,
  liveAt,
  updateInventory,
} from "../../ledger/index.ts";
import { audit } from "../audit.ts";
import { type Backend, traitsOf } from "../backends.ts";
import { type Context, op } from "../context.ts";
import type { HostVerbs } from "./verbs.ts";

const CHECK_WITHIN_MS = 60_000;

/** Hosts that become backends while servers run. */
export function hosts(ctx: Context): HostVerbs {
  const { inventory, ledger } = ctx;
  const infoOf = ({ row, backend }: { row: InventoryTable; backend: Backend }): HostInfo => ({
    object: "host",
    name: row.name,
    provider: row.provider,
    options: JSON.parse(row.options) as Record<string, unknown>,
    draining: row.draining !== 0,
    capacity: { cpu: row.cpu, memory_bytes: row.memory_bytes, sandboxes: row.sandboxes },
    used: inventory.used(row.name),
    available: backend.provider !== null && traitsOf(backend).unavailable === undefined,
    reason: traitsOf(backend).unavailable ?? null,
    added_at: new Date(row.added_at).toISOString(),
  });

  async function found(name: string): Promise<HostInfo> {
    await inventory.look();
    return infoOf(inventory.host(name));
  }

  return {
    async add(who, input) {
      const { name, provider, options, capacity = {} } = parse(HostRequest, input, { what: "host" });
      if (ctx.prepare === undefined) throw new SandboxerError("capability_unsupported", "this engine takes no hosts while it runs");
      const { onThisHost } = await ctx.prepare({ name, provider, options });
      if (onThisHost) {
        const message = "leads to this machine; name another one by ssh or tcp, or configure it as a backend";
        throw new SandboxerError("invalid_request", `options: ${message}`, { issues: [{ path: "options", message }] });
      }
      const at = ctx.clock.now();
      const { cpu = null, memory = null, sandboxes = null } = capacity;
      await ledger.transaction(
        async (tx) => {
          const taken = ctx.backends.some((backend) => backend.name === name) || (await findInventory(tx, name)) !== undefined;
          if (taken) throw new SandboxerError("conflict", `there is a backend "${name}" already`);
          // What lived under that name elsewhere would be looked for here.
          if ((await liveAt(tx, name)).length > 0) throw new SandboxerError("conflict", `sandboxes of an earlier backend "${name}" still live`); // prettier-ignore
          await insertInventory(tx, {
            name, provider, options: JSON.stringify(options), cpu, memory_bytes: memory, sandboxes, draining: 0, added_at: at,
          }); // prettier-ignore
          await appendEvent(tx, {
            type: "host.added",
            at,
            tenant: who.tenant,
            sandboxId: null,
            data: { host: name, provider, key_id: who.key_id },
          });
          await audit(tx, who, { action: "host.added", at, target: name, detail: { provider, cpu, memory_bytes: memory, sandboxes } });
        },
        { durable: true },
      );
      await inventory.look();
      await inventory.host(name).backend.open();
      return infoOf(inventory.host(name));
    },

    async list() {
      await inventory.look();
      return inventory.all().map(infoOf);
    },

    async change(who, name, input): Promise<HostChanged> {
      const { draining, capacity } = parse(HostChange, input, { what: "change" });
      const at = ctx.clock.now();
      const patch = {
        ...(draining === undefined ? {} : { draining: draining ? 1 : 0 }),
        ...(capacity === undefined ? {} : { cpu: capacity.cpu ?? null, memory_bytes: capacity.memory ?? null, sandboxes: capacity.sandboxes ?? null }),
      }; // prettier-ignore
      const remaining = await ledger.transaction(
        async (tx) => {
          if ((await findInventory(tx, name)) === undefined) throw new SandboxerError("not_found", `there is no host "${name}" in the inventory`); // prettier-ignore
          await updateInventory(tx, name, patch);
          await appendEvent(tx, { type: "host.changed", at, tenant: who.tenant, sandboxId: null, data: { host: name, ...patch, key_id: who.key_id } }); // prettier-ignore
          await audit(tx, who, { action: "host.changed", at, target: name, detail: patch });
          return liveAt(tx, name);
        },
        { durable: true },
      );
      return { ...(await found(name)), remaining };
    },

    async check(_who, name): Promise<HostCheck> {
      await inventory.look();
      const { backend } = inventory.host(name);
      const began = performance.now();
      let count = 0;
      let problem: SandboxerError | null = null;
      await backend.open();
      const { provider } = backend;
      try {
        if (provider === null) throw backend.problem ?? new SandboxerError("backend_unavailable", "it cannot be opened");
        for await (const _one of provider.list(op(ctx, AbortSignal.timeout(CHECK_WITHIN_MS)))) count++;
      } catch (thrown) {
        problem = SandboxerError.from(thrown);
      }
      const traits = traitsOf(backend);
      return {
        object: "host_check",
        name,
        reachable: problem === null,
        reason: problem === null ? null : `${problem.code}: ${problem.message}`,
        isolation: traits.isolation.map(({ level, runtime, notes }) => ({ level, runtime, notes: [...notes] })),
        capabilities: { ...traits.capabilities },
        found: problem === null ? count : null,
        answered_ms: problem === null ? Math.round(performance.now() - began) : null,
      };
    },

    async remove(who, name) {
      const at = ctx.clock.now();
      await ledger.transaction(
        async (tx) => {
          if ((await findInventory(tx, name)) === undefined) throw new SandboxerError("not_found", `there is no host "${name}" in the inventory`); // prettier-ignore
          const left = await liveAt(tx, name);
          if (left.length > 0)
            throw new SandboxerError("conflict", `${left.length} sandbox${left.length === 1 ? " has" : "es have"} not ended at host ${name}: ${left.slice(0, 5).join(", ")}`, {
              hint: "Drain it, and end them or wait for their end.",
            }); // prettier-ignore
          await deleteInventory(tx, name);
          await appendEvent(tx, {
            type: "host.removed",
            at,
            tenant: who.tenant,
            sandboxId: null,
            data: { host: name, key_id: who.key_id },
          });
          await audit(tx, who, { action: "host.removed", at, target: name });
        },
        { durable: true },
      );
      await inventory.look();
    },
  };
}
