import { formatBytes } from "../../contract/format.ts";
import { pathFromBytes } from "../../contract/path.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { copyIn, copyOut, reportRefused } from "../copy.ts";
import { OWN_FAILURE, usageError } from "../failure.ts";
import { interruptible, signalCode } from "../interrupt.ts";
import { count, expect } from "../parse.ts";
import { json, note } from "../print.ts";

const REMOTE = /^(sb[0-9a-z]{22}):(.*)$/s;

export const command: Command = {
  usage: "cp SRC ID:DST | cp ID:SRC DST",
  about: `Copies a file or a tree into a sandbox or out of it. Where DST is a directory it is copied into it, else it becomes DST;
SRC/. stands for what is in SRC. Paths inside are relative to the workspace. What comes out of a sandbox is taken
as hostile: absolute paths, "..", symlinks and hard links that lead out of DST, devices and FIFOs are refused and
named, no symlink is followed, and cp then exits 125 after it copied the rest.`,
  options: { "max-size": { type: "string", value: "BYTES", about: "Most to copy out of a sandbox; default: 64 GiB" } },
  positionals: ["path", "path"],
  examples: [
    ["cp ./project ID:", "a tree into the workspace"],
    ["cp ID:results/plot.png .", "a file out of it"],
  ],
  async run(args) {
    const [source = "", target = ""] = expect("cp", args, "SRC", "DST");
    const [from, to] = [REMOTE.exec(source), REMOTE.exec(target)];
    if ((from === null) === (to === null)) throw usageError("cp", "exactly one of SRC and DST must be ID:PATH, with a sandbox's full id");
    const size = args.text("max-size");
    const maxBytes = size === undefined ? undefined : count("cp", "max-size", size);
    await using connection = await connect();
    using interrupt = interruptible();
    const options = { signal: interrupt.signal, quiet: args.json, ...(maxBytes === undefined ? {} : { maxBytes }) };
    const sandbox = await connection.client.connect(from?.[1] ?? to?.[1] ?? "");
    try {
      const copied =
        from === null
          ? await copyIn(sandbox, source, to?.[2] || ".", options)
          : await copyOut(sandbox, pathFromBytes(Buffer.from(from[2] || ".")), target, options);
      if (args.json) await json(copied);
      else {
        reportRefused(copied.refused);
        if (process.stderr.isTTY) note(`${copied.entries} entries, ${formatBytes(copied.bytes)}`);
      }
      return copied.refused.length > 0 ? OWN_FAILURE : 0;
    } catch (thrown) {
      if (interrupt.by !== undefined) return signalCode(interrupt.by);
      throw thrown;
    }
  },
};
