import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { SandboxerError } from "../contract/errors.ts";
import type { PolicyCase, PolicyFile } from "../sdk/index.ts";

const RULES = ".cedar";
const CASES = ".test.yaml";

function unreadable(path: string, cause: unknown): SandboxerError {
  return new SandboxerError("invalid_request", `cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`, {
    hint: `Name files that end in ${RULES}, or directories of them.`,
    cause,
  });
}

function filesIn(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const found = readdirSync(path).filter((name) => name.endsWith(RULES));
    if (found.length === 0)
      throw new SandboxerError("invalid_request", `${path} has no file that ends in ${RULES}`, {
        hint: "Name files of rules, or their directory.",
      });
    return found.sort().map((name) => join(path, name));
  } catch (thrown) {
    throw thrown instanceof SandboxerError ? thrown : unreadable(path, thrown);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Files of rules, and those of the directories that are named. */
export function rulesIn(paths: readonly string[]): PolicyFile[] {
  return paths.flatMap(filesIn).map((path) => ({ name: basename(path), text: read(path) }));
}

/** The cases that stand beside them: `acme.test.yaml` beside `acme.cedar`, a list, or a document with `cases`. */
export async function casesBeside(paths: readonly string[]): Promise<{ cases: PolicyCase[]; files: string[] }> {
  const { parse } = await import("yaml");
  const beside = paths
    .flatMap(filesIn)
    .map((path) => `${path.slice(0, -RULES.length)}${CASES}`)
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  const cases = beside.flatMap((path): PolicyCase[] => {
    let document: unknown;
    try {
      document = parse(read(path));
    } catch (cause) {
      throw new SandboxerError("invalid_request", `${path} is not YAML: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
    if (!Array.isArray(document))
      throw new SandboxerError("invalid_request", `${path} must be a list of cases`, {
        hint: "Each has name, request, expect and rule; see docs/policy.md.",
      });
    // Each case is checked where it is run.
    return document as PolicyCase[];
  });
  return { cases, files: beside };
}
