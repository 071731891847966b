import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parse, Profile, type ProfileRecord, SandboxerError } from "../contract/index.ts";
import { digest } from "./canonical.ts";

/** A profile that comes with sand-boxer. */
export interface ShippedProfile extends ProfileRecord {
  readonly shipped: true;
}

/**
 * Reads every `*.yaml` of the directory with the YAML reader that the composition root gives. `created_at` is the time
 * of the file.
 *
 * @throws SandboxerError `invalid_request` naming the file, the field and the nearest valid value.
 */
export function loadShippedProfiles(directory: string, parseYaml: (text: string) => unknown): ShippedProfile[] {
  const files = readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .sort();
  return files.map((file) => {
    const path = join(directory, file);
    let document: unknown;
    try {
      document = parseYaml(readFileSync(path, "utf8"));
    } catch (thrown) {
      throw new SandboxerError("invalid_request", `${path} is not YAML: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
        cause: thrown,
      });
    }
    const profile = parse(Profile, document, { what: path });
    return {
      object: "profile",
      name: profile.name,
      version: profile.version,
      digest: digest(document),
      shipped: true,
      created_at: statSync(path).mtime.toISOString(),
      document: document as Record<string, unknown>,
    };
  });
}
