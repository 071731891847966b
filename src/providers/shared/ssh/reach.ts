import { z } from "zod";
import { askCommand, askHttp } from "./ask.ts";
import type { Reach } from "./options.ts";

/** A host as ssh is told of it. */
export interface Reachable {
  /** What the host's key is looked up by: its name, not what it resolves to now. */
  readonly name: string;
  readonly address: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
  /** Words for ssh that lead there. */
  readonly options: readonly string[];
}

/** What a `command` or `http` form answers. The wire that ops-bridge, or anything else, plugs in by: docs/backends/reachability.md. */
export const ReachAnswer = z.strictObject({
  address: z.string().min(1),
  port: z.int().min(1).max(65_535).optional(),
  user: z.string().min(1).optional(),
  proxy_jump: z.string().min(1).optional(),
  proxy_command: z.string().min(1).optional(),
});

/** Where the host is now. Asked again for each new connection, since hosts move. */
export async function reachOf(reach: Reach, signal: AbortSignal): Promise<Reachable> {
  if (reach.form === "direct") return { name: reach.address, address: reach.address, port: reach.port, user: undefined, options: [] };
  if (reach.form === "ssh-config") {
    const options = reach.file === undefined ? [] : ["-F", reach.file];
    return { name: reach.host, address: reach.host, port: undefined, user: undefined, options };
  }
  const question = { what: `where host ${reach.name} is`, body: { host: reach.name }, answer: ReachAnswer };
  const {
    address,
    port,
    user,
    proxy_jump: jump,
    proxy_command: command,
  } = reach.form === "command"
    ? await askCommand([...reach.argv, reach.name], question, signal)
    : await askHttp({ url: reach.url, tokenEnv: reach.token_env }, question, signal);
  const options = [...(jump === undefined ? [] : ["-J", jump]), ...(command === undefined ? [] : ["-o", `ProxyCommand=${command}`])];
  return { name: reach.name, address, port, user, options };
}
