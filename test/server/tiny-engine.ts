import {
  isId, newId, SandboxerError, type FileInfo, type Principal, type ProcessInfo, type Sandbox, type Scope, type SecretInfo
} from "../../src/contract/index.ts"; // prettier-ignore
import type { Engine, ExecInput } from "../../src/engine/engine.ts";
import { streams } from "./tiny-streams.ts";
import { tinyWebhook } from "./tiny-webhook.ts";

/**
 * An engine in a few maps whose commands misbehave on demand: it hangs, floods, breaks off and fails in ways that a
 * sound engine does not, and says what it saw of the door. `seen` is what tests look at.
 */
export class TinyEngine {
  readonly seen = {
    aborted: 0,
    finished: 0,
    stdinBytes: 0,
    tornStdin: 0,
    uploadedBytes: 0,
    tornUploads: 0,
    producedBytes: 0,
    execs: [] as ExecInput[],
    writes: [] as string[],
    creates: 0,
    denied: [] as string[],
  };
  readonly keyHolders = new Map<string, Principal>();
  readonly sandboxes = new Map<string, Sandbox>();
  readonly files = new Map<string, { info: FileInfo; body: () => AsyncIterable<Uint8Array> }>();
  /** Set: what every call that reads a sandbox throws. */
  fault: Error | undefined;

  key(tenant: string, scopes: Scope[]): string {
    const secret = `sbx_${Buffer.from(crypto.getRandomValues(new Uint8Array(20))).toString("hex")}`;
    this.keyHolders.set(secret, { tenant, key_id: newId("key"), scopes });
    return secret;
  }

  sandbox(tenant: string): Sandbox {
    const now = new Date().toISOString();
    const sandbox: Sandbox = {
      id: newId("sandbox"), object: "sandbox", name: null, tenant, project: null, profile: { name: "default", version: 1, digest: "0" }, backend: "tiny", state: "ready", desired: "running",
      generation: 1, isolation: { min: "process", effective: "process", runtime: null, notes: [] },
      resources: { cpu: 1, memory_bytes: 1, disk_bytes: 1, inodes: 64, pids: 8 }, narrowed: [], route: { chosen: "tiny", reason: "only one", candidates: [] }, metadata: {}, workspace: null,
      created_at: now, ready_at: now, last_active_at: now, expires_at: now, max_life_at: now, idle_seconds: null, ended_at: null, termination: null, error: null, state_lost: false, persistence: "ephemeral", scope: null, lifetime: { on_idle: "terminate", on_expire: "terminate", on_use: "refuse" }, resting: null,
    }; // prettier-ignore
    this.sandboxes.set(sandbox.id, sandbox);
    return sandbox;
  }

  #own(who: Principal, id: string): Sandbox {
    if (this.fault !== undefined) throw this.fault;
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined || sandbox.tenant !== who.tenant) throw new SandboxerError("sandbox_not_found", `there is no sandbox ${id}`);
    return sandbox;
  }

  #process(who: Principal, id: string, processId: string): ProcessInfo {
    this.#own(who, id);
    const now = new Date().toISOString();
    const info = {
      id: processId,
      object: "process",
      number: 1,
      tag: null,
      sandbox_id: id,
      command: { shell: "true" },
      pty: false,
      state: "running",
      started_at: now,
      ended_at: null,
      end: null,
    } as const;
    return { ...info, output_bytes: 0 };
  }

  secret({ tenant }: Principal, name: string): SecretInfo {
    const created_at = new Date().toISOString();
    return {
      object: "secret",
      name,
      tenant,
      version: 1,
      hosts: null,
      created_at,
      rotated_at: null,
      last_used_at: null,
      removed_at: null,
      sandboxes: [],
    };
  }

  /** The same engine through the interface. */
  engine(): Engine {
    const own = async (who: Principal, id: string): Promise<Sandbox> => this.#own(who, id);
    const nothing = async (who: Principal, id: string): Promise<void> => void this.#own(who, id);
    const make = streams(this);
    const absent = (): never => {
      throw new SandboxerError("internal", "the tiny engine keeps no books");
    };
    return {
      snapshots: { create: absent, list: absent, get: absent, remove: absent, export: absent, import: absent, tree: absent }, fork: absent, budgets: { set: absent, list: absent, get: absent, remove: absent },
      accounts: { set: absent, list: absent, get: absent, remove: absent, enter: absent, entries: absent, routes: absent, setRoute: absent, consent: absent, setConsent: absent },
      images: { list: absent, import: absent, pull: absent, remove: absent, prune: absent }, fleet: absent, money: { usage: absent, audit: absent, discrepancies: absent, export: absent, toStripe: absent },
      create: async (who) => {
        this.seen.creates++;
        return { sandbox: this.sandbox(who.tenant), replayed: false, attached: false };
      },
      get: own, renew: own, touch: own, pause: own, resume: own, destroy: own,
      list: async (who, { cursor }) => {
        if (cursor !== undefined && !isId("sandbox", cursor)) throw new SandboxerError("invalid_request", "bad cursor", { issues: [{ path: "cursor", message: "is not one of ours" }] });
        return { object: "list", data: [...this.sandboxes.values()].filter(({ tenant }) => tenant === who.tenant), next_cursor: null };
      },
      usage: async (who, id) => {
        this.#own(who, id);
        return { cpu_seconds: null, memory_bytes: null, memory_peak_bytes: null, disk_bytes: null, inodes: null, pids: null, oom_kills: null };
      },
      exec: async (who, id, input, signal) => {
        this.#own(who, id);
        this.seen.execs.push(input);
        return { execId: newId("exec"), events: make.exec(input, signal) };
      },
      services: { list: absent, logs: absent },
      processes: {
        start: async (who, id) => this.#process(who, id, newId("process")),
        list: async (who, id) => [this.#process(who, id, newId("process"))],
        get: async (who, id, processId) => this.#process(who, id, processId),
        wait: async (who, id, processId, _seconds, signal) => {
          const info = this.#process(who, id, processId);
          await make.untilAborted(signal);
          return info;
        },
        output: async (who, id, _processId, { offset, follow }, signal) => {
          this.#own(who, id);
          return make.output(offset, follow, signal);
        },
        signal: async (who, id, _processId, signal) => {
          this.#own(who, id);
          this.seen.writes.push(`signal ${signal}`);
        },
        write: async (who, id, _processId, data) => {
          this.#own(who, id);
          this.seen.writes.push(Buffer.from(data).toString());
          this.seen.stdinBytes += data.byteLength;
        },
        closeStdin: async (who, id) => {
          this.#own(who, id);
          this.seen.writes.push("close");
        },
        resize: async (who, id, _processId, { cols, rows }) => {
          this.#own(who, id);
          this.seen.writes.push(`resize ${cols}x${rows}`);
        },
      },
      files: {
        read: async (who, id, path) => {
          this.#own(who, id);
          const file = this.files.get(path);
          if (file === undefined) throw new SandboxerError("file_not_found", `there is no ${path}`);
          return { info: file.info, body: file.body() };
        },
        write: async (who, id, path, body, { mode }) => {
          this.#own(who, id);
          let size = 0;
          try {
            for await (const piece of body) this.seen.uploadedBytes = size += piece.byteLength;
          } catch (error) {
            this.seen.tornUploads++;
            throw error;
          }
          const info = this.file(path, size, mode);
          this.files.set(path, { info, body: () => make.zeros(size) });
          return info;
        },
        list: async (who, id) => {
          this.#own(who, id);
          return [...this.files.values()].map(({ info }) => info);
        },
        stat: async (who, id, path) => {
          this.#own(who, id);
          return this.file(path, 0);
        },
        mkdir: nothing, rename: nothing, remove: nothing, chmod: nothing,
        watch: async (who, id, path, _options, signal) => {
          this.#own(who, id);
          return make.watch(path, signal);
        },
        exportTree: async (who, id, path) => {
          this.#own(who, id);
          return path === "broken" ? make.breaksOff(1000) : make.zeros(10_240);
        },
        importTree: async (who, id, _path, tar) => {
          this.#own(who, id);
          for await (const piece of tar) this.seen.uploadedBytes += piece.byteLength;
        },
      },
      network: {
        get: nothing as never,
        update: nothing as never,
        log: async (who, id) => ({ object: "list", data: (this.#own(who, id), []), next_cursor: null }),
        followLog: async function* () {},
        suggest: nothing as never,
        check: nothing as never,
        protect: async () => {},
      },
      profiles: {
        list: async () => [],
        get: async (_who, reference) => {
          throw new SandboxerError("profile_not_found", `there is no profile ${reference}`);
        },
        apply: async (_who, document) => {
          const { name, version } = document as { name: string; version: number };
          return { profile: { object: "profile", name, version, digest: "0", shipped: false, labels: [], created_at: new Date().toISOString(), document: document as Record<string, unknown> }, created: true };
        },
        label: nothing as never,
      },
      events: {
        source: async () => "urn:sand-boxer:tiny",
        list: async () => ({ object: "list", data: [], next_cursor: null }),
        follow: (_who, { after }, signal) => make.ledger(after ?? 0, signal),
      },
      ports: {
        connect: async (_who, _id, port) => {
          throw new SandboxerError("port_closed", `nothing listens on port ${port}`);
        },
        mayVisit: async () => {},
        published: async () => undefined,
        list: async () => [],
        publish: async () => {
          throw new SandboxerError("policy_denied", "nothing is published here");
        },
        unpublish: async () => {},
        redeem: async () => false,
      },
      keys: {
        create: async () => {
          throw new SandboxerError("storage_unavailable", "no keys are made here", { retry_after: 2.5 });
        },
        list: async () => [],
        revoke: async (_who, id) => {
          throw new SandboxerError("not_found", `there is no key ${id}`);
        },
        rotate: nothing as never,
        authenticate: async (secret) => this.keyHolders.get(secret),
        makerOf: nothing as never,
        holds: async () => false,
      },
      webhooks: {
        add: async (who) => ({ webhook: tinyWebhook(who), secret: "whsec_AAAA" }),
        list: async (who) => [tinyWebhook(who)],
        get: async (who) => tinyWebhook(who),
        update: async (who) => tinyWebhook(who),
        remove: async (who) => tinyWebhook(who),
        rotate: async (who) => ({ webhook: tinyWebhook(who), secret: "whsec_AAAA" }),
        test: async () => ({ object: "webhook_test", delivered: true, status: 204, error: null, duration_ms: 1 }),
        replay: async (who) => tinyWebhook(who),
        deliveries: async () => [],
      },
      audit: {
        list: async () => ({ object: "list", data: [], next_cursor: null }),
        verify: async () => ({ object: "audit_report", ok: true, entries: 0, head: { seq: 0, hash: "0".repeat(64) }, anchors: 0, problem: null }),
        anchor: async () => null,
        denied: async (_who, { action, code }) => void this.seen.denied.push(`${action} ${code}`),
      },
      secrets: {
        set: async (who, name, { value }) => {
          this.seen.writes.push(`secret ${value}`);
          return this.secret(who, name);
        },
        rotate: async (who, name, { value }) => {
          this.seen.writes.push(`secret ${value}`);
          return this.secret(who, name);
        },
        list: async (who) => [this.secret(who, "one")],
        remove: async (who, name) => this.secret(who, name),
      },
      tenants: nothing as never, projects: nothing as never, quotas: nothing as never, hosts: nothing as never, policy: nothing as never,
      backends: async () => [],
      route: async () => ({ chosen: "tiny", reason: "only one", candidates: [] }),
      sweep: async () => ({ adopted: [], ended: [], orphans_removed: [], lost: [], errors: [] }),
      health: async () => ({ status: "ok", checks: { ledger: { ok: true, detail: null } } }),
      metrics: async () => [{ name: "sandboxer_sandboxes", help: "Live\nones", type: "gauge", values: [{ labels: { state: 'a"b\\c' }, value: 3 }] }],
      close: async () => undefined,
    }; // prettier-ignore
  }

  file(path: string, size: number, mode = 0o644): FileInfo {
    const name = path.split("/").at(-1) ?? path;
    return {
      path,
      name,
      type: "file",
      size,
      mode: mode.toString(8).padStart(4, "0"),
      uid: 1000,
      gid: 1000,
      modified_at: new Date(0).toISOString(),
      target: null,
    };
  }
}
