import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { OWN_FAILURE } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";
import { REQUEST_OPTIONS, requestFrom } from "../request.ts";
import { plain } from "../style.ts";

export const command: Command = {
  usage: "route [OPTIONS]",
  about: `Says where a sandbox with these options would run and why, and why not elsewhere. Makes nothing. Exits 125 where no
backend would take it.`,
  options: REQUEST_OPTIONS,
  positionals: [],
  examples: [["route -p python --isolation gvisor", "who can give gvisor?"]],
  async run(args) {
    expect("route", args);
    const request = requestFrom("route", args);
    await using connection = await connect();
    const route = await connection.client.route(request);
    if (args.json) await json(route);
    else {
      await line(plain(`${route.chosen ?? "no backend"}: ${route.reason}`));
      await table(
        ["BACKEND", "VERDICT", "REASON"],
        route.candidates.map(({ backend, verdict, reason }) => [backend, verdict, reason]),
      );
    }
    return route.chosen === null ? OWN_FAILURE : 0;
  },
};
