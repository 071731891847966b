import { newId, SandboxerError, type Op } from "../../contract/index.ts";
import type { Agent } from "../shared/companion/agent.ts";
import { Companion } from "../shared/companion/companion.ts";

/**
 * The name of the user to run as: the agent knows names only, so a number is looked up inside. Undefined stands for the template's own.
 *
 * @throws SandboxerError `invalid_request` for a number without a name; `capability_unsupported` for a group of its own.
 */
export async function agentUser(agent: Agent, asked: string | undefined, op: Op): Promise<string | undefined> {
  const user = asked ?? agent.user;
  if (user === undefined || !/^\d+(:|$)/.test(user)) {
    if (user?.includes(":") === true) throw noGroup(user);
    return user;
  }
  if (user.includes(":")) throw noGroup(user);
  const lookup = new Companion(agent, { argv: ["/usr/bin/perl", "-e", "print((getpwuid($ARGV[0]))[0] // '')", user], user: undefined, tag: newId("exec") }, op); // prettier-ignore
  try {
    const name = await lookup.text();
    if (name !== "") return name;
  } finally {
    lookup.leave();
  }
  throw new SandboxerError("invalid_request", `user: the sandbox has no user with the number ${user}`, {
    phase: "exec",
    issues: [{ path: "user", message: "there is no such user in the sandbox" }],
  });
}

function noGroup(user: string): SandboxerError {
  return new SandboxerError("capability_unsupported", `user: "${user}" names a group, and E2B's agent takes users only`, {
    phase: "exec",
    issues: [{ path: "user", message: "a group cannot be named" }],
  });
}
