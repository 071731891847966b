import type { Socket } from "node:net";
import type { BoundSecret, EgressPolicy, EgressSession } from "../../../contract/network.ts";

/** How the boundary gets out; the operator's alone. */
export interface BoundaryConfig {
  /** `ip` or `ip:port`; the system's unless given. */
  readonly resolvers?: readonly string[];
  /** PEM file of authorities that upstream servers may be signed by, beside the system's. */
  readonly caFile?: string;
}

/** What one line asks. */
export type Request = { readonly id: number } & (
  | { readonly verb: "prepare"; readonly session: EgressSession }
  | { readonly verb: "attach"; readonly sandbox: string; readonly namespace: string }
  | { readonly verb: "update" | "review"; readonly sandbox: string; readonly policy: EgressPolicy }
  | { readonly verb: "secrets"; readonly sandbox: string; readonly secrets: readonly BoundSecret[] }
  | { readonly verb: "remove" | "traffic"; readonly sandbox: string }
  | { readonly verb: "sessions" }
  | { readonly verb: "verdicts"; readonly cursor: string | null; readonly limit: number }
  | { readonly verb: "hello"; readonly config: BoundaryConfig | null; readonly closed: readonly string[] }
);

/** Longest line: a policy of 512 rules with 256 paths each has some 140 MB at its worst, which nobody writes; this is for thousands of rules. */
const MAX_LINE = 32 * 1024 ** 2;

/** Calls back with each line, parsed. A line that is no JSON or too long ends the connection. */
export function readLines(socket: Socket, onLine: (value: unknown) => void): void {
  let pieces: string[] = [];
  let length = 0;
  socket.setEncoding("utf8").on("data", (chunk: unknown) => {
    const lines = String(chunk).split("\n");
    for (const [index, line] of lines.entries()) {
      pieces.push(line);
      length += line.length;
      if (length > MAX_LINE) {
        socket.destroy(new Error("a line is too long"));
        return;
      }
      if (index === lines.length - 1) break;
      const text = pieces.join("");
      pieces = [];
      length = 0;
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch (cause) {
        socket.destroy(new Error("a line is not JSON", { cause }));
        return;
      }
      onLine(value);
    }
  });
}

export function writeLine(socket: Socket, value: unknown): void {
  socket.write(`${JSON.stringify(value)}\n`);
}
