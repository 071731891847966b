/** What an examination of a host found: one thing that is well, or that could be better. */
export interface Finding {
  /** Stable name, as in `cgroup.hybrid`. */
  id: string;
  ok: boolean;
  /** How much it matters where it is not ok: an `error` keeps sandboxes from being made. */
  level: "info" | "warn" | "error";
  title: string;
  /** What was seen; may be empty. */
  detail: string;
  /** A shell command that would improve it. */
  fix?: { command: string };
}
