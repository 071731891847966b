import type { Finding } from "../../contract/finding.ts";
import { SandboxerError } from "../../contract/index.ts";
import { examineCgroups } from "./doctor/cgroups.ts";
import { examinePrograms } from "./doctor/programs.ts";
import { examineNetwork } from "./doctor/network.ts";
import { flaw } from "./doctor/report.ts";
import { examineRuntimes } from "./doctor/runtimes.ts";
import { examineStorage } from "./doctor/storage.ts";
import { examineSystem } from "./doctor/system.ts";
import { LocalOptions } from "./options.ts";

const ORDER = ["error", "warn", "info"] as const;

/**
 * Says what the local provider can do on this host, and what would improve it: what is wrong comes first, errors before the rest. Each
 * runtime is tried with a real sandbox, which takes about a second; nothing is changed and nothing is left. `directory` is the
 * provider's own; it need not be there. What cannot be examined is a finding, never an exception.
 */
export async function diagnose({ directory, options }: { directory: string; options: unknown }): Promise<Finding[]> {
  const root = process.getuid?.() === 0;
  const parsed = LocalOptions.safeParse(options);
  const wrong = parsed.success
    ? []
    : [
        flaw(
          "error",
          "options",
          "the options of the local backend are wrong",
          parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "),
        ),
      ];
  const parts = await Promise.all([
    examined("system", () => examineSystem(root)),
    examined("cgroup", () => examineCgroups(root)),
    examined("program", examinePrograms),
    examined("network", () => examineNetwork(root)),
    examined("data", () => examineStorage(directory, root)),
    examined("runtime", () => examineRuntimes(directory, parsed.success ? parsed.data : {}, root)),
  ]);
  const rank = ({ ok, level }: Finding): number => (ok ? ORDER.length : ORDER.indexOf(level));
  return [...wrong, ...parts.flat()].sort((a, b) => rank(a) - rank(b));
}

async function examined(id: string, look: () => Finding[] | Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [flaw("error", id, "this could not be examined", SandboxerError.from(error).message)];
  }
}
