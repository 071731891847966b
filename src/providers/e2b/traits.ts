import type { Traits } from "../../contract/index.ts";
import type { Settings } from "./options.ts";

/** E2B has it. */
const NATIVE = ["ttl.max", "net.block_all", "exec.user", "exec.cwd_env"] as const;
/** The companion inside, the labels or fixed scripts make up for what E2B lacks. */
const EMULATED = [
  "create.idempotent", "exec.stream", "exec.split_stderr", "exec.stdin", "exec.timeout", "exec.pty", "exec.background", "exec.reattach",
  "fs.rw", "fs.tree", "fs.watch", "fs.stream", "workspace.mirror",
] as const; // prettier-ignore

/**
 * What is said of the backend. Sizes are not offered: the template has them. The plan's bounds are the operator's word; E2B does not
 * tell them.
 */
export function traitsOf(settings: Settings): Traits {
  return {
    isolation: [{ level: settings.isolation, runtime: "e2b", notes: [settings.isolationNote] }],
    capabilities: {
      ...Object.fromEntries(NATIVE.map((capability) => [capability, "native" as const])),
      ...Object.fromEntries(EMULATED.map((capability) => [capability, "emulated" as const])),
    },
    limits: {
      ttl_seconds: { min: 1, max: settings.maxSeconds },
      concurrency_max: settings.concurrency,
      create_rate_per_s: settings.createRate,
    },
  };
}
