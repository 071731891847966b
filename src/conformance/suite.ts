import type { Capability } from "../contract/index.ts";
import { CREDENTIAL_CASES } from "./cases-credentials.ts";
import { EXEC_CASES } from "./cases-exec.ts";
import { FILE_CASES } from "./cases-files.ts";
import { KILL_CASES } from "./cases-kill.ts";
import { LIFECYCLE_CASES } from "./cases-lifecycle.ts";
import { NAME_CASES } from "./cases-names.ts";
import { OUTPUT_CASES } from "./cases-output.ts";
import { PORT_CASES } from "./cases-ports.ts";
import { PROCESS_CASES } from "./cases-processes.ts";
import { REST_CASES } from "./cases-rest.ts";
import { TERMINAL_CASES } from "./cases-terminal.ts";
import { TREE_CASES } from "./cases-trees.ts";
import { assertRefused } from "./refusal.ts";
import { Stage } from "./stage.ts";
import type { ConformanceCase, ConformanceOptions } from "./types.ts";

/** A case as it is written down. */
export interface CaseDefinition {
  readonly name: string;
  readonly capability?: Capability;
  /** Left out where the options do not make it possible. */
  readonly when?: (options: ConformanceOptions) => boolean;
  run(stage: Stage): Promise<void>;
}

const DEFINITIONS: readonly CaseDefinition[] = [
  ...EXEC_CASES, ...OUTPUT_CASES, ...KILL_CASES, ...PROCESS_CASES, ...TERMINAL_CASES, ...FILE_CASES, ...NAME_CASES, ...TREE_CASES, ...PORT_CASES, ...LIFECYCLE_CASES, ...REST_CASES, ...CREDENTIAL_CASES,
]; // prettier-ignore

/**
 * The suite as a list, for any test runner: `for (const c of conformanceSuite(options)) test(c.name, c.run)`. A case
 * whose capability the provider does not declare passes only where its use is refused as `capability_unsupported` or
 * its group is absent; a declared one never skips. Commands inside are POSIX ones, and `head -c`, `yes` and `sleep`
 * with fractions; and perl, where there are ports and no `server` in the options. A case makes its own sandboxes and destroys them; give it 60 s, 5 minutes for far backends.
 */
export function conformanceSuite(options: ConformanceOptions): ConformanceCase[] {
  return DEFINITIONS.filter((definition) => definition.when?.(options) ?? true).map((definition) => ({
    name: `${options.name}: ${definition.name}${definition.capability === undefined ? "" : ` [${definition.capability}]`}`,
    ...(definition.capability === undefined ? {} : { capability: definition.capability }),
    run: () => runCase(definition, options),
  }));
}

async function runCase(definition: CaseDefinition, options: ConformanceOptions): Promise<void> {
  const { provider, dispose } = await options.open();
  try {
    const stage = new Stage(provider, options);
    try {
      if (definition.capability === undefined || provider.traits.capabilities[definition.capability] !== undefined)
        await definition.run(stage);
      else await assertRefused(stage, definition.capability);
    } finally {
      await stage.clean();
    }
  } finally {
    await dispose();
  }
}

/** What every runner's `test` has in common. */
export type TestFunction = (name: string, run: () => Promise<void>) => unknown;

/** The suite in one line: `defineConformance(test, options)`. */
export function defineConformance(test: TestFunction, options: ConformanceOptions): void {
  for (const { name, run } of conformanceSuite(options)) test(name, run);
}
