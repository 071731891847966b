import { formatUsd } from "../../contract/format.ts";
import { nearest } from "../../contract/nearest.ts";
import type { Account, AccountRequest } from "../../sdk/index.ts";
import { dollars } from "../amount.ts";
import type { Arguments, Command } from "../command.ts";
import { connect, type Connection } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { fields, json, line, table } from "../print.ts";

const VERBS = ["add", "ls", "show", "rm", "credit", "adjust", "entries", "route", "routes", "fallback"] as const;
type Verb = (typeof VERBS)[number];
const KINDS = ["byok", "credits", "self_hosted"] as const;

export const command: Command = {
  usage: `account add NAME --kind KIND | account ls | account show|rm|entries NAME | account credit|adjust NAME DOLLARS | account route TENANT BACKEND ACCOUNT... | account routes | account fallback on|off`,
  about: `Accounts: who pays for which sandboxes. byok: the vendor bills the account's owner; credits: prepaid, and empty when they are
used; self_hosted: what own hosts cost. A route says which accounts pay for a tenant at a backend, in order; "*" stands for every one.
An account after the first pays only for a tenant that allows it. Nothing in the journal is ever changed: adjust adds an entry.`,
  options: {
    kind: { type: "string", value: "KIND", about: `add: ${KINDS.join(", ")}` },
    tenant: { type: "string", value: "TENANT", about: "add: pays for that tenant alone" },
    backend: { type: "string", multiple: true, value: "BACKEND", about: "add: pays for that backend alone; may be repeated" },
    limit: { type: "string", value: "DOLLARS", about: "add: of all that it ever reserves and spends" },
    id: { type: "string", value: "ID", about: "credit, adjust: of your own, such as the invoice's: the same one is entered once" },
    note: { type: "string", value: "TEXT", about: "credit, adjust: why" },
    none: { type: "boolean", about: "route: remove it" },
  },
  positionals: [VERBS],
  examples: [
    ["account add acme-credits --kind credits --tenant acme", "prepaid, for one tenant"],
    ["account credit acme-credits 50 --id invoice-17", "50 dollars came in"],
    ['account route acme "*" acme-credits default', "who is asked, in order"],
    ["account entries acme-credits", "what moved"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("account", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    return RUN[known](args);
  },
};

/** Runs a verb on a connection and prints what it answers. */
async function on<T>(
  args: Arguments,
  ask: (accounts: Connection["client"]["money"]["accounts"]) => Promise<T>,
  print: (value: T) => Promise<void>,
) {
  await using connection = await connect();
  const value = await ask(connection.client.money.accounts);
  await (args.json ? json(value) : print(value));
  return 0;
}

const RUN: Readonly<Record<Verb, (args: Arguments) => Promise<number>>> = {
  async add(args) {
    const [, name = ""] = expect("account", args, "VERB", "NAME");
    const request = requestFrom(args);
    return on(args, (accounts) => accounts.set(name, request), show);
  },
  async ls(args) {
    expect("account", args, "VERB?");
    return on(args, (accounts) => accounts.list(), list);
  },
  async show(args) {
    const [, name = ""] = expect("account", args, "VERB", "NAME");
    return on(args, (accounts) => accounts.get(name), show);
  },
  async rm(args) {
    const [, name = ""] = expect("account", args, "VERB", "NAME");
    return on(
      args,
      (accounts) => accounts.remove(name),
      (account) => line(account.name),
    );
  },
  credit: (args) => enter(args, "credit"),
  adjust: (args) => enter(args, "adjust"),
  async entries(args) {
    const [, name = ""] = expect("account", args, "VERB", "NAME");
    return on(
      args,
      (accounts) => accounts.entries(name),
      async (found) =>
        table(
          ["AT", "KIND", "ENTRY", "POSTINGS", "NOTE"],
          found.map(({ at, kind, id, postings, note }) => [
            at,
            kind,
            id,
            postings.map(({ account, amount_micro_usd }) => `${account} ${formatUsd(amount_micro_usd)}`).join(", "),
            note ?? "",
          ]),
        ),
    );
  },
  async route(args) {
    const [, tenant = "", backend = "", ...accounts] = args.positionals;
    if (tenant === "" || backend === "" || (accounts.length === 0) !== args.flag("none"))
      throw usageError("account", "route needs TENANT, BACKEND and accounts in their order, or --none");
    return on(
      args,
      (all) => all.setRoute({ tenant, backend, accounts }),
      (route) => line(`${route.tenant} at ${route.backend}: ${route.accounts.join(", ") || "no route"}`),
    );
  },
  async routes(args) {
    expect("account", args, "VERB");
    return on(
      args,
      (accounts) => accounts.routes(),
      async (found) =>
        table(
          ["TENANT", "BACKEND", "ACCOUNTS"],
          found.map(({ tenant, backend, accounts }) => [tenant, backend, accounts.join(", ")]),
        ),
    );
  },
  async fallback(args) {
    const [, word = ""] = expect("account", args, "VERB", "on|off");
    if (word !== "on" && word !== "off") throw usageError("account", `fallback is on or off, not "${word}"`);
    return on(
      args,
      (accounts) => accounts.setConsent({ fallback: word === "on" }),
      ({ fallback }) => line(fallback ? "on" : "off"),
    );
  },
};

async function enter(args: Arguments, kind: "credit" | "adjust"): Promise<number> {
  const [, name = "", amount = ""] = expect("account", args, "VERB", "NAME", "DOLLARS");
  const note = args.text("note");
  const entry = {
    id: args.text("id") ?? crypto.randomUUID(),
    kind,
    amount_micro_usd: dollars("account", "the amount", amount),
    ...(note === undefined ? {} : { note }),
  };
  return on(args, (accounts) => accounts.enter(name, entry), show);
}

function requestFrom(args: Arguments): AccountRequest {
  const text = args.text("kind") ?? "";
  const kind = KINDS.find((known) => known === text);
  if (kind === undefined) throw usageError("account", `add needs --kind: ${KINDS.join(", ")}`);
  const [tenant, limit, backends] = [args.text("tenant"), args.text("limit"), args.all("backend")];
  return {
    kind,
    ...(tenant === undefined ? {} : { tenant }),
    ...(backends.length === 0 ? {} : { backends: [...backends] }),
    ...(limit === undefined ? {} : { limit_micro_usd: dollars("account", "--limit", limit) }),
  };
}

async function list(found: readonly Account[]): Promise<void> {
  await table(
    ["NAME", "KIND", "TENANT", "BACKENDS", "FUNDED", "SPENT", "RESERVED", "LEFT"],
    found.map((account) => [
      account.name,
      account.kind,
      account.tenant ?? "all",
      account.backends?.join(",") ?? "all",
      ...[account.funded_micro_usd, account.spent_micro_usd, account.reserved_micro_usd].map(formatUsd),
      account.left_micro_usd === null ? "no bound" : formatUsd(account.left_micro_usd),
    ]),
  );
}

async function show(account: Account): Promise<void> {
  await fields([
    ["name", account.name],
    ["kind", account.kind],
    [
      "pays for",
      `${account.tenant === null ? "every tenant" : `tenant ${account.tenant}`}, ${account.backends?.join(", ") ?? "every backend"}`,
    ],
    ["limit", account.limit_micro_usd === null ? null : formatUsd(account.limit_micro_usd)],
    ["funded", formatUsd(account.funded_micro_usd)],
    ["spent", formatUsd(account.spent_micro_usd)],
    ["reserved", formatUsd(account.reserved_micro_usd)],
    ["left", account.left_micro_usd === null ? "no bound" : formatUsd(account.left_micro_usd)],
  ]);
}
