import { formatDuration } from "../../contract/format.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { duration, expect } from "../parse.ts";
import { json, line, relative } from "../print.ts";

export const command: Command = {
  usage: "renew [OPTIONS] ID TTL",
  about: `Sets the ttl of sandbox ID, from now. Never shortens it without --shorten, and never goes beyond its max_life.`,
  options: { shorten: { type: "boolean", about: "Let it end earlier than it would" } },
  positionals: ["sandbox"],
  examples: [
    ["renew ID 1h", "an hour from now"],
    ["renew --shorten ID 5m", "no more than five minutes"],
  ],
  async run(args) {
    const [id = "", ttl = ""] = expect("renew", args, "ID", "TTL");
    await using connection = await connect();
    const info = await (await connection.client.connect(id)).renew(duration(ttl), args.flag("shorten") ? { shorten: true } : {});
    if (args.json) await json(info);
    else await line(`${info.id} expires ${info.expires_at} (${relative(info.expires_at, formatDuration)})`);
    return 0;
  },
};
