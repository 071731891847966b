import { realpathSync } from "node:fs";
import { SandboxerError } from "../contract/errors.ts";
import type { CreateRequest, Sandbox } from "../sdk/index.ts";
import type { SyncOptions, SyncReport } from "../sync/index.ts";
import type { Arguments, Option } from "./command.ts";
import { usageError } from "./failure.ts";
import { note } from "./print.ts";

/** What `create` and `run` take to give a sandbox a directory of this machine. */
export const WORKSPACE_OPTIONS = {
  workspace: { type: "string", value: "DIR", about: "Your directory at the workspace: a copy that is kept in step, unless --mount" },
  mount: {
    type: "string",
    value: "MODE",
    about: "Mount DIR (ro or rw) instead of copying it, where the operator allows that (workspaces.roots)",
  },
} as const satisfies Record<string, Option>;

/** A directory that is kept in step with a sandbox's workspace. */
export interface Copied {
  readonly directory: string;
  /** Whether what changes inside comes back. */
  readonly mirror: boolean;
}

/** What the options ask of the request; a directory that is copied asks nothing. */
export function mountFrom(command: string, args: Arguments): Pick<CreateRequest, "workspace"> {
  const [directory, access] = [args.text("workspace"), args.text("mount")];
  if (access === undefined) return {};
  if (access !== "ro" && access !== "rw") throw usageError(command, `--mount must be ro or rw; got "${access}"`);
  if (directory === undefined) throw usageError(command, "--mount needs --workspace DIR");
  return { workspace: { access, path: realDirectory(directory) } };
}

/** The directory itself: what is mounted is named without symlinks. One that only the server's machine has is its business. */
function realDirectory(directory: string): string {
  try {
    return realpathSync(directory);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT" && directory.startsWith("/")) return directory;
    throw new SandboxerError("file_not_found", `there is no directory ${directory} here`, {
      phase: "workspace",
      hint: "Name a directory of this machine.",
      cause: thrown,
    });
  }
}

/** The directory that a new sandbox's workspace is a copy of: the option's, which comes back unless its profile says `remote`, else its profile's. */
export function copiedFor({ info: { workspace } }: Sandbox, args: Arguments): Copied | undefined {
  if (workspace !== null && workspace.access !== "isolated") return undefined;
  const directory = args.text("workspace") ?? workspace?.path;
  if (directory === undefined || directory === null) return undefined;
  return { directory, mirror: (workspace?.sync ?? "mirror") === "mirror" };
}

/** Syncs; loaded when it is used. */
export async function syncWith(sandbox: Sandbox, directory: string, options: SyncOptions): Promise<SyncReport> {
  const { sync } = await import("../sync/index.ts");
  return sync(sandbox, directory, options);
}

/** Whether something is left that a person must decide, or that did not travel. */
export function isUnsettled({ conflicts, refused }: SyncReport): boolean {
  return conflicts.length + refused.length > 0;
}

const SHOWN = 20;

/** Says on standard error what did not travel, why, and where it is kept what was replaced here. */
export function explainSync({ conflicts, refused, backup }: SyncReport): void {
  const some = <T>(list: readonly T[], line: (one: T) => string) => {
    for (const one of list.slice(0, SHOWN)) note(line(one));
    if (list.length > SHOWN) note(`and ${list.length - SHOWN} more`);
  };
  some(conflicts, ({ path, here, inside }) => `conflict: ${path}: ${here} here, ${inside} inside; neither was touched`);
  some(refused, ({ path, reason }) => `not synced: ${path}: ${reason}`);
  if (backup !== null) note(`what was replaced or removed here is kept in ${backup}`);
}
