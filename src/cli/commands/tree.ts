import { formatBytes } from "../../contract/format.ts";
import type { SnapshotTree } from "../../sdk/index.ts";
import type { Command } from "../command.ts";
import { connect } from "../connect.ts";
import { expect } from "../parse.ts";
import { json, line } from "../print.ts";
import { plain } from "../style.ts";

export const command: Command = {
  usage: "tree",
  about: `Shows which sandboxes and snapshots came from which: a snapshot below the sandbox that it was taken of, a sandbox below the snapshot that it goes on
from. Sandboxes that have ended are shown as long as the ledger keeps them.`,
  options: {},
  positionals: [],
  examples: [["tree", "who came from whom"]],
  async run(args) {
    expect("tree", args);
    await using connection = await connect();
    const { nodes, ...rest } = await connection.client.snapshots.tree();
    if (args.json) await json({ ...rest, nodes });
    else for (const text of linesOf(nodes)) await line(text);
    return 0;
  },
};

function linesOf(nodes: SnapshotTree["nodes"]): string[] {
  const known = new Set(nodes.map(({ id }) => id));
  const lines: string[] = [];
  const visit = (parent: string | null, depth: number): void => {
    const here = nodes.filter((node) => (node.parent !== null && known.has(node.parent) ? node.parent : null) === parent);
    for (const { id, kind, name, state, size_bytes: size } of here.sort((a, b) => a.created_at.localeCompare(b.created_at))) {
      const more = [kind, state, ...(size === null ? [] : [formatBytes(size)]), ...(name === null ? [] : [plain(name)])];
      lines.push(`${"  ".repeat(depth)}${id}  ${more.join("  ")}`);
      visit(id, depth + 1);
    }
  };
  visit(null, 0);
  return lines;
}
