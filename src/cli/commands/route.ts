import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { OWN_FAILURE, usageError } from "../failure.ts";
import { json } from "../print.ts";
import { REQUEST_OPTIONS, requestFrom } from "../request.ts";
import { printRoute } from "../route-table.ts";

export const command: Command = {
  usage: "route explain [OPTIONS]",
  about: `Says where a sandbox with these options would run and why, why not elsewhere, what it costs there, and how fast each
backend was of late. Makes nothing. Exits 125 where no backend would take it.`,
  options: REQUEST_OPTIONS,
  positionals: [["explain"]],
  examples: [
    ["route explain -p python --isolation gvisor", "who can give gvisor?"],
    ["route explain -p python:floor --duty-cycle 0.1", "the cheapest for a program that mostly waits"],
    ["route explain --max-price 0.05 --region eu", "what is within these bounds"],
  ],
  async run(args) {
    const [verb = "explain", more] = args.positionals;
    if (verb !== "explain") throw usageError("route", `unknown verb "${verb}"; did you mean "explain"?`);
    if (more !== undefined) throw usageError("route", `unexpected argument "${more}"`);
    const request = requestFrom("route", args);
    await using connection = await connect();
    const route = await connection.client.route(request);
    await (args.json ? json(route) : printRoute(route));
    return route.chosen === null ? OWN_FAILURE : 0;
  },
};
