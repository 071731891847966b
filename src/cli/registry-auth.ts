import { readFileSync } from "node:fs";
import { SandboxerError } from "../contract/errors.ts";
import { fullReference } from "../contract/image-reference.ts";
import { usageError } from "./failure.ts";
import { hiddenInput } from "./hidden.ts";

interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Docker's own name for its registry, from before references. */
const DOCKER_HUB = "https://index.docker.io/v1/";

/** What a registry is asked with: typed or piped where `asked`, or from a file as `docker login` writes it. */
export async function registryCredentials(
  reference: string,
  { asked, file }: { asked: boolean; file: string | undefined },
): Promise<Credentials | undefined> {
  if (asked && file !== undefined) throw usageError("image", "--creds and --auth-file exclude each other");
  if (asked) return pair(await hiddenInput("image", "USER:PASSWORD (not shown): "), "what was given");
  return file === undefined ? undefined : fromFile(file, fullReference(reference)?.split("/")[0] ?? "");
}

function fromFile(file: string, registry: string): Credentials {
  let auths: Record<string, { auth?: string } | undefined>;
  try {
    auths = (JSON.parse(readFileSync(file, "utf8")) as { auths?: typeof auths }).auths ?? {};
  } catch (cause) {
    throw new SandboxerError("invalid_request", `${file} cannot be read as a file of credentials`, { cause, hint: "Name a file that docker login or skopeo login has written." });
  }
  const auth = auths[registry]?.auth ?? auths[`https://${registry}`]?.auth ?? (registry === "docker.io" ? auths[DOCKER_HUB]?.auth : undefined);
  if (auth === undefined)
    throw new SandboxerError("invalid_request", `${file} has no credentials of ${registry}`, { hint: `Run: skopeo login --authfile ${file} ${registry}` });
  return pair(Buffer.from(auth, "base64").toString("utf8"), file);
} // prettier-ignore

function pair(text: string, where: string): Credentials {
  const colon = text.indexOf(":");
  if (colon < 1) throw new SandboxerError("invalid_request", `${where} is not USER:PASSWORD`);
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\r?\n$/, "") };
}
