import { nearest } from "../../contract/nearest.ts";
import type { PortInfo, Sandbox } from "../../sdk/index.ts";
import type { Arguments, Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { duration, expect } from "../parse.ts";
import { json, line, note, table } from "../print.ts";

const VERBS = ["publish", "rm", "url"] as const;
const VISIBILITIES = ["private", "token", "public"] as const;

export const command: Command = {
  usage: "ports ID | ports [OPTIONS] ID publish PORT | ports ID rm PORT | ports [OPTIONS] ID url PORT",
  about: `Lists the ports of sandbox ID that can be reached through the server, publishes one, takes one back, or prints an address that
lets its holder in: into a private port once, in one browser; into a token port until it expires. What may be published is said by
the profile (network.ports, network.publish) and the operator.`,
  options: {
    visibility: {
      type: "string",
      value: "WHO",
      about: "publish: private (who has a key; the default), token (who has a signed address) or public",
    },
    ttl: {
      type: "string",
      value: "DURATION",
      about: "publish: taken back after this; url: how long a visit lasts; default: with the sandbox, 1h",
    },
    path: { type: "string", value: "PATH", about: 'url: where it leads; default: "/"' },
  },
  positionals: ["sandbox", VERBS],
  examples: [
    ["ports ID publish 3000 --visibility token --ttl 2h", "for two hours, to whoever is given an address"],
    ["ports ID url 3000", "that address"],
    ["ports ID rm 3000", "nobody reaches it any more"],
  ],
  async run(args) {
    const [id = "", verb, text = ""] = args.positionals;
    if (verb !== undefined && !VERBS.some((known) => known === verb))
      throw usageError("ports", `unknown verb "${verb}"; did you mean "${nearest(verb, VERBS) ?? "publish"}"?`);
    if (verb === undefined) expect("ports", args, "ID");
    else expect("ports", args, "ID", "VERB", "PORT");
    const port = verb === undefined ? 0 : portIn(text);
    await using connection = await connect();
    const sandbox = await connection.client.connect(id);
    if (verb === undefined) return list(sandbox, args);
    if (verb === "publish") return publish(sandbox, port, args);
    if (verb === "url") return address(sandbox, port, args);
    await sandbox.ports.unpublish(port);
    await (args.json ? json({ sandbox_id: id, port, published: false }) : line(String(port)));
    return 0;
  },
};

function portIn(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw usageError("ports", `PORT must be a number from 1 to 65535; got "${text}"`);
  return port;
}

async function list({ ports }: Sandbox, args: Arguments): Promise<number> {
  const found = await ports.list();
  if (args.json) await json(found);
  else
    await table(
      ["PORT", "VISIBILITY", "FROM", "EXPIRES", "ADDRESS"],
      found.map((one) => [String(one.port), one.visibility, one.source, one.expires_at ?? "-", addressOf(one)]),
    );
  return 0;
}

async function publish({ ports }: Sandbox, port: number, args: Arguments): Promise<number> {
  const wanted = args.text("visibility");
  const visibility = VISIBILITIES.find((known) => known === wanted);
  if (wanted !== undefined && visibility === undefined)
    throw usageError("ports", `unknown visibility "${wanted}"; nearest: "${nearest(wanted, VISIBILITIES) ?? "private"}"`);
  const ttl = args.text("ttl");
  const made = await ports.publish(port, {
    ...(visibility === undefined ? {} : { visibility }),
    ...(ttl === undefined ? {} : { ttl: duration(ttl) }),
  });
  if (args.json) await json(made);
  else {
    await line(addressOf(made));
    note(`port ${port} is ${made.visibility}${made.expires_at === null ? "" : ` until ${made.expires_at}`}`);
  }
  return 0;
}

async function address({ ports }: Sandbox, port: number, args: Arguments): Promise<number> {
  const [ttl, path] = [args.text("ttl"), args.text("path")];
  const made = await ports.url(port, { ...(ttl === undefined ? {} : { ttl: duration(ttl) }), ...(path === undefined ? {} : { path }) });
  if (args.json) await json(made);
  else {
    await line(made.url);
    if (made.once) note(`opens one session in one browser, until ${made.open_until ?? ""}`);
    else if (made.expires_at !== null) note(`lets its holder in until ${made.expires_at}`);
  }
  return 0;
}

/** Below the server's own address where nothing listens that would answer to host names. */
function addressOf({ url, path }: PortInfo): string {
  return url ?? path;
}
