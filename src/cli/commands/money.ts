import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line, table } from "../print.ts";

const VERBS = ["audit", "differences"] as const;

export const command: Command = {
  usage: "money audit | money differences",
  about: `audit proves that the books balance: every entry adds up to 0, every closed usage has one settlement, nothing is reserved for
what has ended, and every sum is the sum of its parts. It exits with 1 where that does not hold, and names what breaks it. It reads
all the books and holds up every write meanwhile.
differences lists the sandboxes of which a backend's own metering differs from ours by more than 5 %.`,
  options: { "all-tenants": { type: "boolean", about: "differences: every tenant's (scope admin)" } },
  positionals: [VERBS],
  examples: [["money audit", "for an auditor"]],
  async run(args) {
    const [verb = ""] = expect("money", args, "VERB");
    if (verb !== "audit" && verb !== "differences")
      throw usageError("money", `unknown verb "${verb}"; the verbs are audit and differences`);
    await using connection = await connect();
    const { money } = connection.client;
    if (verb === "differences") {
      const found = await money.discrepancies(args.flag("all-tenants") ? { allTenants: true } : {});
      if (args.json) await json(found);
      else
        await table(
          ["SANDBOX", "BACKEND", "DIFFERS BY", "METERED"],
          found.map(({ sandbox_id, backend, percent, metered }) => [
            sandbox_id,
            backend,
            `${percent} %`,
            Object.entries(metered)
              .map(([name, value]) => `${name} ${value}`)
              .join(", "),
          ]),
        );
      return 0;
    }
    const audit = await money.audit();
    if (args.json) await json(audit);
    else {
      for (const check of audit.checks) {
        const broken = audit.findings.filter((finding) => finding.check === check).map(({ what }) => what);
        await line(broken.length === 0 ? `holds   ${check}` : `BROKEN  ${check}: ${broken.join(", ")}`);
      }
      const older = audit.before_the_books === 0 ? "" : `; ${audit.before_the_books} of before the books`;
      await line(
        `${audit.balanced ? "The books balance" : "The books do not balance"}: ${audit.entries} entries, ${audit.settled} stays settled, ${audit.open} open${older}.`,
      );
    }
    return audit.balanced ? 0 : 1;
  },
};
