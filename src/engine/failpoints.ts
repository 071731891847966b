/** Every step at which a test may kill the process, in the order in which the verb passes them. */
export const FAILPOINTS = [
  "create.before_row", "create.after_row", "create.after_prepare", "create.after_provider", "create.after_attach", "create.after_setup", "create.before_ready", "create.after_ready",
  "exec.before_row", "exec.after_row", "exec.after_start", "exec.before_finish", "exec.after_finish",
  "destroy.before_row", "destroy.after_row", "destroy.after_provider", "destroy.after_release", "destroy.before_settle", "destroy.after_settle",
  "process.after_row", "process.after_start",
  "network.after_row", "network.after_apply",
] as const; // prettier-ignore

/** The same for a sandbox that is brought to rest and runs again. */
export const REST_FAILPOINTS = [
  "pause.after_row", "pause.after_provider", "resume.after_row", "resume.after_provider",
  "suspend.after_row", "suspend.after_provider", "wake.after_row", "wake.after_provider",
] as const; // prettier-ignore

/** The same for what goes on beside the verbs: the telling of events. */
export const HUB_FAILPOINTS = ["webhook.before_send", "webhook.after_send", "webhook.after_advance"] as const;

export type Failpoint = (typeof FAILPOINTS)[number] | (typeof REST_FAILPOINTS)[number] | (typeof HUB_FAILPOINTS)[number];
