import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { OWN_FAILURE } from "../failure.ts";
import { expect, pairs } from "../parse.ts";
import { json, line, note } from "../print.ts";
import { REQUEST_OPTIONS, requestFrom } from "../request.ts";
import { copiedFor, explainSync, isUnsettled, mountFrom, syncWith, WORKSPACE_OPTIONS } from "../workspace.ts";

export const command: Command = {
  usage: "create [OPTIONS]",
  about: `Makes a sandbox and prints its id. It lives until it is ended, its ttl passes (see 'renew'), or it idles out.`,
  options: {
    ...REQUEST_OPTIONS,
    ...WORKSPACE_OPTIONS,
    env: {
      type: "string",
      short: "e",
      multiple: true,
      value: "KEY[=VALUE]",
      about: "A variable of the sandbox; a bare KEY takes its value from here",
    },
    "idempotency-key": { type: "string", value: "KEY", about: "The same key gives the same sandbox back" },
  },
  positionals: [],
  examples: [
    ["create -p python --ttl 2h", "a sandbox for two hours"],
    ["create --workspace .", "with a copy of this directory; 'sync' brings changes back"],
    ["id=$(sand-boxer create) && sand-boxer exec $id -- id", "for a script"],
  ],
  async run(args) {
    expect("create", args);
    const key = args.text("idempotency-key");
    const request = { ...requestFrom("create", args, pairs("create", "env", args.all("env"), true)), ...mountFrom("create", args) };
    await using connection = await connect();
    const sandbox = await connection.client.create({ ...request, ...(key === undefined ? {} : { idempotencyKey: key }) });
    const copied = copiedFor(sandbox, args);
    const report = copied === undefined ? undefined : await syncWith(sandbox, copied.directory, { direction: "push" });
    if (report !== undefined) explainSync(report);
    if (args.json) await json(sandbox.info);
    else {
      await line(sandbox.id);
      if (sandbox.info.narrowed.length > 0)
        note(`made narrower than asked by the profile or the operator: ${sandbox.info.narrowed.join(", ")}`);
      if (sandbox.info.state_lost) note("made anew: what an earlier one held is lost");
    }
    return report !== undefined && isUnsettled(report) ? OWN_FAILURE : 0;
  },
};
