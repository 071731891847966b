import { nearest } from "../../contract/nearest.ts";
import type { SandBoxer, WebhookInfo } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { count, expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";

const VERBS = ["add", "ls", "test", "deliveries", "replay", "rotate", "enable", "disable", "rm"] as const;
type Verb = (typeof VERBS)[number];
const STATES = ["delivered", "dead", "queued"] as const;

export const command: Command = {
  usage:
    "webhook add URL | webhook ls | webhook test ID | webhook deliveries ID | webhook replay ID | webhook rotate ID | webhook enable ID | webhook disable ID | webhook rm ID",
  about: `Tells events to an address: as CloudEvents, signed, in order, until they are taken. A receiver that is down misses nothing. add
and rotate print the secret that signatures are checked with, once. A server must run for events to go out.`,
  options: {
    type: { type: "string", multiple: true, value: "TYPE", about: "add: only such events, as sandbox.ready or sandbox.*; may be repeated" },
    batch: { type: "boolean", about: "add: up to 100 events a request" },
    description: { type: "string", value: "TEXT", about: "add: for people" },
    "all-tenants": { type: "boolean", about: "add: every tenant's events; needs the admin scope" },
    "max-attempts": { type: "string", value: "N", about: "add: how often an event that is refused is tried; 16 unless given" },
    after: { type: "string", value: "SEQ", about: "add, replay: begin after this event; 0 is from the beginning" },
    dead: { type: "boolean", about: "replay: try the dead letters again" },
    state: { type: "string", value: "STATE", about: "deliveries: only delivered, dead or queued ones" },
  },
  positionals: [VERBS, "webhook"],
  examples: [
    ["webhook add https://hooks.example.com/x --type 'sandbox.*'", "tell what becomes of sandboxes"],
    ["webhook test ID", "send one event now, and say how it went"],
    ["webhook deliveries ID --state dead", "what its receiver refused"],
    ["webhook replay ID --dead", "try that again"],
  ],
  async run(args) {
    const [verb = "ls"] = args.positionals;
    const known = VERBS.find((one) => one === verb);
    if (known === undefined) throw usageError("webhook", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "ls"}"?`);
    const words = known === "ls" ? expect("webhook", args, "VERB?") : expect("webhook", args, "VERB", known === "add" ? "URL" : "ID");
    await using connection = await connect();
    return await RUN[known](connection.client, words[1] ?? "", args);
  },
};

const RUN: Readonly<Record<Verb, (client: SandBoxer, id: string, args: Arguments) => Promise<number>>> = {
  add: async (client, url, args) => secret(args, await client.webhooks.add(requestOf(url, args))),
  ls: async (client, _id, args) => list(args, await client.webhooks.list()),
  test,
  deliveries,
  replay: async (client, id, args) => changed(args, await client.webhooks.replay(id, replayOf(args))),
  rotate: async (client, id, args) => secret(args, await client.webhooks.rotate(id)),
  enable: async (client, id, args) => changed(args, await client.webhooks.update(id, { enabled: true })),
  disable: async (client, id, args) => changed(args, await client.webhooks.update(id, { enabled: false })),
  rm: async (client, id, args) => changed(args, await client.webhooks.remove(id)),
};

function requestOf(url: string, args: Arguments): Parameters<SandBoxer["webhooks"]["add"]>[0] {
  const types = [...args.all("type")];
  const [description, attempts, after] = [args.text("description"), args.text("max-attempts"), args.text("after")];
  return {
    url,
    ...(types.length === 0 ? {} : { types }),
    ...(args.flag("batch") ? { format: "batch" } : {}),
    ...(description === undefined ? {} : { description }),
    ...(args.flag("all-tenants") ? { all_tenants: true } : {}),
    ...(attempts === undefined ? {} : { max_attempts: count("webhook", "max-attempts", attempts) }),
    ...(after === undefined ? {} : { after: count("webhook", "after", after) }),
  };
}

function replayOf(args: Arguments): { after: number } | { dead: true } {
  const after = args.text("after");
  if ((after === undefined) === !args.flag("dead")) throw usageError("webhook", "replay needs either --after SEQ or --dead");
  return after === undefined ? { dead: true } : { after: count("webhook", "after", after) };
}

async function secret(args: Arguments, made: WebhookInfo & { secret: string }): Promise<number> {
  if (args.json) await json(made);
  else {
    await line(made.secret);
    note(`the secret of webhook ${made.id}; it is not shown again`);
  }
  return 0;
}

async function changed(args: Arguments, webhook: WebhookInfo): Promise<number> {
  await (args.json ? json(webhook) : line(webhook.id));
  return 0;
}

async function list(args: Arguments, found: readonly WebhookInfo[]): Promise<number> {
  if (args.json) await json(found);
  else
    await table(
      ["ID", "URL", "EVENTS", "STATE", "AT", "DEAD", "LAST ATTEMPT", "PROBLEM"],
      found.map((one) => [
        one.id,
        one.url,
        `${one.types?.join(",") ?? "all"}${one.all_tenants ? " of all tenants" : ""}`,
        !one.enabled ? "disabled" : one.failures > 0 ? `failed ${one.failures}x` : "ok",
        `${one.cursor}/${one.newest}`,
        String(one.dead_letters),
        one.last_attempt_at ?? "never",
        one.disabled_reason ?? one.last_error ?? "-",
      ]),
    );
  return 0;
}

async function test(client: SandBoxer, id: string, args: Arguments): Promise<number> {
  const { delivered, status, error, duration_ms } = await client.webhooks.test(id);
  if (args.json) await json({ delivered, status, error, duration_ms });
  else await line(delivered ? `delivered: it answered ${status} after ${duration_ms} ms` : `not delivered: ${error ?? "unknown"}`);
  return delivered ? 0 : 1;
}

async function deliveries(client: SandBoxer, id: string, args: Arguments): Promise<number> {
  const wanted = args.text("state");
  const state = STATES.find((one) => one === wanted);
  if (wanted !== undefined && state === undefined)
    throw usageError("webhook", `unknown state "${wanted}"; nearest: "${nearest(wanted, STATES) ?? "dead"}"`);
  const found = await client.webhooks.deliveries(id, state === undefined ? {} : { state });
  if (args.json) await json(found);
  else
    await table(
      ["SEQ", "TYPE", "SANDBOX", "STATE", "ATTEMPTS", "STATUS", "AT", "PROBLEM"],
      found.map((one) => [
        String(one.seq),
        one.type,
        one.sandbox_id ?? "-",
        one.state,
        String(one.attempts),
        one.status === null ? "-" : String(one.status),
        one.at,
        one.error ?? "-",
      ]),
    );
  return 0;
}
