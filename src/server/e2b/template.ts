import type { Sandbox } from "../../contract/index.ts";
import { SandboxerError, type Principal, type ProfileRecord } from "../../contract/index.ts";
import type { E2bContext } from "./context.ts";

/** The template an SDK asks for where its user names none. */
export const BASE_TEMPLATE = "base";
/** The shipped profile that stands for it: E2B's user, home and variables as far as a sandbox here has them. */
const BASE_PROFILE = "e2b-base";

/** A template's name as a reference to a profile: `name:version` and `name@version` mean that version, a bare name the newest. */
function profileReference(template: string): string {
  const [name = "", version] = template.split(/[:@]/, 2);
  return version === undefined || version === "" || version === "latest" || version === "default" ? name : `${name}@${version}`;
}

/**
 * The profile that a template names. `base` is a profile of that name where the operator or the tenant has one, else
 * the shipped `e2b-base`. Another team's prefix (`team/name`) is not looked at: there are no teams.
 *
 * @throws SandboxerError `profile_not_found`
 */
export async function templateProfile({ engine }: E2bContext, who: Principal, template: string): Promise<ProfileRecord> {
  const reference = profileReference(template);
  if (reference === BASE_TEMPLATE) {
    const own = (await engine.profiles.list(who)).some(({ name }) => name === BASE_TEMPLATE);
    return engine.profiles.get(who, own ? BASE_TEMPLATE : BASE_PROFILE);
  }
  try {
    return await engine.profiles.get(who, reference);
  } catch (thrown) {
    if (!(thrown instanceof SandboxerError) || (thrown.code !== "profile_not_found" && thrown.code !== "invalid_request")) throw thrown;
    throw new SandboxerError("profile_not_found", `template "${template.slice(0, 128)}" not found: ${thrown.message}`, { cause: thrown });
  }
}

/** The template a sandbox was made from, also where it was made elsewhere: its profile with the version. */
export function templateOf({ profile }: Sandbox): string {
  return profile.name === BASE_PROFILE ? BASE_TEMPLATE : `${profile.name}:${profile.version}`;
}

/** Whether a sandbox was made from what a list asks for. */
export function isOfTemplate(sandbox: Sandbox, template: string): boolean {
  const reference = profileReference(template);
  const { name, version } = sandbox.profile;
  return reference === templateOf(sandbox) || reference === name || reference === `${name}@${version}`;
}
