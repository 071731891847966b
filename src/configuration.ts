import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Yaml from "yaml";
import { ensureDataDirectory } from "./cli/data-directory.ts";
import { Config, parse, SandboxerError } from "./contract/index.ts";

/** Makes it where it is missing. Throws `storage_unavailable`. */
export function makeDataDirectory(directory: string): void {
  try {
    ensureDataDirectory(directory);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown";
    throw new SandboxerError("storage_unavailable", `cannot make the data directory ${directory} (${code})`, {
      phase: "open",
      hint: "Set SANDBOXER_DATA to a directory that this account may write.",
      cause,
    });
  }
}

/** `sand-boxer.yaml`, or the file that SANDBOXER_CONFIG names; every field has a default. Throws `invalid_request` naming the field. */
export function readConfig(dataDir: string): Config {
  const { SANDBOXER_CONFIG: named } = process.env;
  const path = named !== undefined && named !== "" ? named : join(dataDir, "sand-boxer.yaml");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" && path !== named) return {};
    throw new SandboxerError("invalid_request", `cannot read the configuration ${path} (${code ?? "unknown"})`, {
      phase: "open",
      hint: "Correct SANDBOXER_CONFIG or the file's permissions.",
      cause,
    });
  }
  let document: unknown;
  try {
    document = parseYaml(text);
  } catch (cause) {
    throw new SandboxerError("invalid_request", `${path} is not YAML: ${cause instanceof Error ? cause.message : String(cause)}`, {
      phase: "open",
      cause,
    });
  }
  return parse(Config, document ?? {}, { what: path });
}

/** Aliases are refused: a few bytes of them can stand for gigabytes. Loaded when there is something to parse. */
export function parseYaml(text: string): unknown {
  const yaml = createRequire(import.meta.url)("yaml") as Pick<typeof Yaml, "parse">;
  return yaml.parse(text, { maxAliasCount: 0 }) as unknown;
}
