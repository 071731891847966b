import {
  KeyRequest, NetworkUpdate, parse, type PolicyAction, type PortVisibility, type Principal, Profile, ROLES, SandboxerError,
} from "../../contract/index.ts"; // prettier-ignore
import { compilePolicy, egressFacts, type Facts } from "../../guard/index.ts";
import { findKey, findSandbox } from "../../ledger/index.ts";
import { accessibleSandbox } from "../access.ts";
import type { Context } from "../context.ts";
import type { Engine, ExecInput } from "../engine.ts";
import type { Visitor } from "../publication.ts";
import { ask } from "./ask.ts";
import type { Gates } from "./gate-types.ts";
import { sandboxThing, SERVER, tenantThing } from "./things.ts";

/** On one sandbox; what of the call rules can ask is made of what comes after its id. */
function onSandbox<Rest extends unknown[]>(action: PolicyAction, facts: (...rest: Rest) => Facts = () => ({})) {
  return {
    actions: [action],
    ask: (ctx: Context, who: Principal, id: string, ...rest: Rest) =>
      ask(ctx, who, action, async () => ({ resource: sandboxThing(await accessibleSandbox(ctx, who, id)), context: facts(...rest) })),
  };
}

const onFile = (action: "file.read" | "file.write") => onSandbox(action, (path: string) => ({ path }));

/** Both names count. */
const onBoth = {
  actions: ["file.write" as const],
  async ask(ctx: Context, who: Principal, id: string, from: string, to: string) {
    for (const path of [from, to])
      await ask(ctx, who, "file.write", async () => ({ resource: sandboxThing(await accessibleSandbox(ctx, who, id)), context: { path } }));
  },
};

const onTenant = (action: PolicyAction) => ({
  actions: [action],
  ask: (ctx: Context, who: Principal) => ask(ctx, who, action, () => ({ resource: tenantThing(who.tenant) })),
});

const onServer = (action: PolicyAction) => ({
  actions: [action],
  ask: (ctx: Context, who: Principal) => ask(ctx, who, action, () => ({ resource: SERVER })),
});

const onSecret = {
  actions: ["secret.write" as const],
  ask: (ctx: Context, who: Principal, name: string) =>
    ask(ctx, who, "secret.write", () => ({
      resource: { type: "Secret", id: `${who.tenant}/${name}`, tenant: who.tenant, attributes: { name, tenant: who.tenant } },
    })),
};

const onKey = (action: "key.rotate" | "key.revoke") => ({
  actions: [action],
  ask: (ctx: Context, who: Principal, id: string) =>
    ask(ctx, who, action, async () => {
      const row = await findKey(ctx.ledger.db, id);
      if (row === undefined) throw new SandboxerError("not_found", `there is no key ${id}`);
      const { tenant, project, role, labels } = row;
      const attributes = { tenant, project: project ?? "", role: role ?? "", labels: JSON.parse(labels) as string[], local: false };
      return { resource: { type: "Key", id, tenant, attributes } };
    }),
});

const run = ({ argv, user }: Pick<ExecInput, "argv" | "user">): Facts => ({
  program: argv?.[0] ?? "sh",
  shell: argv === undefined,
  user: user ?? "",
});

/** A command of the caller's own profile is as much theirs as the sandbox; a visitor has the one port. */
async function askConnect(ctx: Context, who: Principal | Visitor, id: string, port: number): Promise<void> {
  if (!("publication" in who))
    return ask(ctx, who, "port.connect", async () => ({
      resource: sandboxThing(await accessibleSandbox(ctx, who, id)),
      context: { port, visibility: "private" satisfies PortVisibility },
    }));
  const row = await findSandbox(ctx.ledger.db, id);
  // What is not there is told by the verb, in its own words.
  if (row === undefined) return;
  const { visibility } = who.publication;
  await ask(ctx, { visitor: visibility, tenant: row.tenant }, "port.visit", () => ({
    resource: sandboxThing(row),
    context: { port, visibility },
  }));
}

function keyFacts(who: Principal, input: KeyRequest): Facts & { readonly tenant: string } {
  const { tenant = who.tenant, project = "", role = "", scopes, labels = [], expires_in: life } = parse(KeyRequest, input, { what: "key" });
  const own = Object.hasOwn(ROLES, role) ? ROLES[role as keyof typeof ROLES].scopes : ["read", "write"];
  return { tenant, project, role, scopes: scopes ?? own, labels, expires: life !== undefined };
}

async function askSweep(ctx: Context, action: "server.sweep" | "server.metrics", who: Principal | undefined): Promise<void> {
  if (who !== undefined) await ask(ctx, who, action, () => ({ resource: SERVER }));
}

const tenantNamed = (action: PolicyAction) => ({
  actions: [action],
  ask: (ctx: Context, who: Principal, given: string | { name?: string; tenant?: string | undefined }) => {
    const name = typeof given === "string" ? given : (given.tenant ?? (action === "tenant.write" ? given.name : undefined) ?? who.tenant);
    return ask(ctx, who, action, () => ({ resource: tenantThing(name) }));
  },
});

/** What every verb asks. The type holds one for each verb of the engine, and the tests hold one for each operation of the API. */
export const GATES: Gates<Engine> = {
  create: { excused: "asked once it is decided what the sandbox would be, before any effect", actions: ["sandbox.create"] },
  get: onSandbox("sandbox.read"),
  list: onTenant("sandbox.list"),
  usage: onSandbox("sandbox.read"),
  renew: onSandbox("sandbox.renew"),
  touch: onSandbox("sandbox.touch"),
  pause: onSandbox("sandbox.pause"),
  resume: onSandbox("sandbox.resume"),
  destroy: onSandbox("sandbox.destroy"),
  exec: onSandbox("exec.run", run),
  processes: {
    start: onSandbox("process.start", run),
    list: onSandbox("process.read"),
    get: onSandbox("process.read"),
    wait: onSandbox("process.read"),
    output: onSandbox("process.read"),
    signal: onSandbox("process.control"),
    write: onSandbox("process.control"),
    closeStdin: onSandbox("process.control"),
    resize: onSandbox("process.control"),
  },
  services: {
    list: onSandbox("process.read"),
    logs: onSandbox("process.read"),
  },
  files: {
    read: onFile("file.read"),
    write: onFile("file.write"),
    list: onFile("file.read"),
    stat: onFile("file.read"),
    mkdir: onFile("file.write"),
    rename: onBoth,
    remove: onFile("file.write"),
    chmod: onFile("file.write"),
    watch: onFile("file.read"),
    exportTree: onFile("file.read"),
    importTree: onFile("file.write"),
  },
  network: {
    get: onSandbox("network.read"),
    update: onSandbox("network.update", (request: NetworkUpdate) => {
      const { allow, mode } = parse(NetworkUpdate, request, { what: "network update" });
      return egressFacts(compilePolicy({ allow, ...(mode === undefined ? {} : { mode }) }));
    }),
    log: onSandbox("network.read"),
    followLog: { ...onSandbox("network.read"), streams: true },
    suggest: onSandbox("network.read"),
    check: onTenant("profile.read"),
    protect: { excused: "our own servers say where they listen; no caller reaches it" },
  },
  ports: {
    connect: { actions: ["port.connect", "port.visit"], ask: askConnect },
    mayVisit: { actions: ["port.visit"], ask: askConnect },
    published: { excused: "says only what a visitor could be let in by; the connection itself is asked for" },
    list: onSandbox("port.read"),
    publish: onSandbox("port.publish", ({ port, visibility = "private" }: { port: number; visibility?: PortVisibility | undefined }) => ({
      port,
      visibility,
    })),
    unpublish: onSandbox("port.unpublish", (port: number) => ({ port, visibility: "private" })),
    redeem: { excused: "uses up an address that its bearer has; the connection itself is asked for" },
  },
  profiles: {
    list: onTenant("profile.read"),
    get: onTenant("profile.read"),
    apply: {
      actions: ["profile.publish"],
      ask: (ctx, who, document) =>
        ask(ctx, who, "profile.publish", () => {
          const { name, version } = parse(Profile, document, { what: "profile" });
          return { resource: tenantThing(who.tenant), context: { name, version, labels: [] } };
        }),
    },
    label: {
      actions: ["profile.label"],
      ask: (ctx, who, reference, labels) =>
        ask(ctx, who, "profile.label", () => {
          const [name = "", version = "0"] = reference.split("@");
          return { resource: tenantThing(who.tenant), context: { name, version: Number(version), labels } };
        }),
    },
  },
  events: {
    list: onTenant("event.read"),
    follow: { ...onTenant("event.read"), streams: true },
    source: { excused: "is the ledger's own name, which every event has" },
  },
  webhooks: {
    add: onTenant("webhook.write"),
    list: onTenant("webhook.read"),
    get: onTenant("webhook.read"),
    update: onTenant("webhook.write"),
    remove: onTenant("webhook.write"),
    rotate: onTenant("webhook.write"),
    test: onTenant("webhook.write"),
    replay: onTenant("webhook.write"),
    deliveries: onTenant("webhook.read"),
  },
  audit: {
    list: onServer("audit.read"),
    verify: onServer("audit.read"),
    anchor: onServer("audit.read"),
    denied: { excused: "writes down that a door has refused someone" },
  },
  keys: {
    create: {
      actions: ["key.create"],
      ask: (ctx, who, request) =>
        ask(ctx, who, "key.create", () => {
          const { tenant, ...facts } = keyFacts(who, request);
          return { resource: tenantThing(tenant), context: { tenant, ...facts } };
        }),
    },
    list: onServer("key.read"),
    revoke: onKey("key.revoke"),
    rotate: onKey("key.rotate"),
    makerOf: { excused: "says as whom a token of the sandbox's own acts; what it does is asked for as that" },
    authenticate: { excused: "finds out who is asking" },
    holds: { excused: "says whether who asked may still be believed" },
  },
  secrets: { set: onSecret, rotate: onSecret, list: onTenant("secret.read"), remove: onSecret },
  tenants: { create: tenantNamed("tenant.write"), list: onServer("tenant.read"), suspend: tenantNamed("tenant.write") },
  projects: { create: tenantNamed("project.write"), list: onTenant("project.read"), remove: tenantNamed("project.write") },
  quotas: { set: onServer("quota.write"), list: onServer("quota.read"), remove: onServer("quota.write") },
  budgets: { set: onServer("money.write"), list: onTenant("money.read"), get: onTenant("money.read"), remove: onServer("money.write") },
  accounts: {
    set: onServer("money.write"),
    list: onTenant("money.read"),
    get: onTenant("money.read"),
    remove: onServer("money.write"),
    enter: onServer("money.write"),
    entries: onTenant("money.read"),
    routes: onTenant("money.read"),
    setRoute: onServer("money.write"),
    consent: onTenant("money.read"),
    setConsent: onTenant("money.consent"),
  },
  money: {
    usage: onTenant("money.read"),
    audit: onServer("money.write"),
    discrepancies: onTenant("money.read"),
    export: onTenant("money.read"),
    toStripe: onServer("money.write"),
  },
  policy: {
    check: onServer("policy.read"),
    test: onServer("policy.read"),
    explain: onServer("policy.read"),
    apply: onServer("policy.write"),
    rollback: onServer("policy.write"),
    show: onServer("policy.read"),
    schema: onServer("policy.read"),
    history: onServer("policy.read"),
  },
  backends: onServer("backend.read"),
  route: onTenant("route.explain"),
  fleet: onServer("server.fleet"),
  sweep: { actions: ["server.sweep"], ask: (ctx, options) => askSweep(ctx, "server.sweep", options?.who) },
  health: { excused: "is open to whoever watches the server, and says nothing of anybody" },
  metrics: { actions: ["server.metrics"], ask: (ctx, who) => askSweep(ctx, "server.metrics", who) },
  close: { excused: "is the process itself" },
};
