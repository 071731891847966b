import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parse, Profile, type ProfileRecord, SandboxerError } from "../contract/index.ts";
import { digest } from "./canonical.ts";

/** A profile that comes with sand-boxer. */
export interface ShippedProfile extends ProfileRecord {
  readonly shipped: true;
}

/** Keeps what a text was made into, by the text: the work is done again only where either has changed. */
export type Remember = <T>(text: string, make: () => T) => T;

/**
 * Reads every `*.yaml` of the directory with the YAML reader that the composition root gives. `created_at` is the time
 * of the file.
 *
 * @throws SandboxerError `invalid_request` naming the file, the field and the nearest valid value.
 */
export function loadShippedProfiles(
  directory: string,
  parseYaml: (text: string) => unknown,
  remember: Remember = (_, make) => make(),
): ShippedProfile[] {
  const files = readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .sort();
  return files.map((file) => {
    const path = join(directory, file);
    const text = readFileSync(path, "utf8");
    return {
      object: "profile",
      ...remember(text, () => checked(path, text, parseYaml)),
      shipped: true,
      labels: [],
      created_at: statSync(path).mtime.toISOString(),
    };
  });
}

function checked(path: string, text: string, parseYaml: (text: string) => unknown) {
  let document: unknown;
  try {
    document = parseYaml(text);
  } catch (thrown) {
    throw new SandboxerError("invalid_request", `${path} is not YAML: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
      cause: thrown,
    });
  }
  const { name, version } = parse(Profile, document, { what: path });
  return { name, version, digest: digest(document), document: document as Record<string, unknown> };
}
