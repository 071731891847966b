import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect, pairs } from "../parse.ts";
import { json, line, note } from "../print.ts";
import { REQUEST_OPTIONS, requestFrom } from "../request.ts";

export const command: Command = {
  usage: "create [OPTIONS]",
  about: `Makes a sandbox and prints its id. It lives until it is ended, its ttl passes (see 'renew'), or it idles out.`,
  options: {
    ...REQUEST_OPTIONS,
    env: {
      type: "string",
      short: "e",
      multiple: true,
      value: "KEY[=VALUE]",
      about: "A variable of the sandbox; a bare KEY takes its value from here",
    },
    "scope-key": { type: "string", value: "KEY", about: "Find the live sandbox of the profile with this key, or make it" },
    "idempotency-key": { type: "string", value: "KEY", about: "The same key gives the same sandbox back" },
  },
  positionals: [],
  examples: [
    ["create -p python --ttl 2h", "a sandbox for two hours"],
    ["create -p python --scope-key chat-81", "the sandbox of that chat, made where there is none"],
    ["id=$(sand-boxer create) && sand-boxer exec $id -- id", "for a script"],
  ],
  async run(args) {
    expect("create", args);
    const key = args.text("idempotency-key");
    const scopeKey = args.text("scope-key");
    const request = requestFrom("create", args, pairs("create", "env", args.all("env"), true));
    await using connection = await connect();
    const sandbox = await connection.client.create({
      ...request,
      ...(scopeKey === undefined ? {} : { scope_key: scopeKey }),
      ...(key === undefined ? {} : { idempotencyKey: key }),
    });
    if (args.json) await json(sandbox.info);
    else {
      await line(sandbox.id);
      if (sandbox.info.narrowed.length > 0)
        note(`made narrower than asked by the profile or the operator: ${sandbox.info.narrowed.join(", ")}`);
      if (sandbox.info.attached === true) note("it was there already, as it is: nothing of the request was changed in it");
      if (sandbox.info.state_lost) note("made anew: what an earlier one held is lost");
    }
    return 0;
  },
};
